//! Publishes the outbox table to the stream: in order, without gaps, from any number of processes.
//!
//! ```text
//! woken by NOTIFY, or every `poll`
//!   number   committed rows get the next numbers, under the lock of the single row of outbox_head
//!   hook     the service's own caches drop the data that the events make outdated
//!   append   one script: PUBLISH, then XADD; only the number that follows the stream's last one
//!   done     the rows are marked as appended
//! ```
//!
//! The database assigns the numbers, not Redis. After a crash at any point, some rows are numbered but not marked as
//! appended: any relay appends them, and the script skips those that the stream already has. If Redis has lost the
//! stream, the relay replays the last hour under the same numbers, so consumers that store their position stay correct.
//! If the stream ends before the row that a relay is about to append, the relay first appends the rows in between,
//! including those that another relay has numbered.
//!
//! After a failure, the relay halves the number of rows per batch, down to a single row, so that an event that cannot
//! be applied only blocks later events. The relay pauses between attempts, logs an outage once
//! ([`RecurringFailure`](crate::RecurringFailure)), and reports the failure ([`Relay::failing`]).
//!
//! One round is in `worker`: number, hook, append, done. `replay` appends what the stream lacks, and replaces a stream of
//! another history. Only `table` talks to Postgres, only `stream` to Redis.
//!
//! Limitations: a stream is bounded ([`RelaySettings::stream_length`]), and the relay deletes rows after
//! [`RelaySettings::retention`]. A consumer that was stopped for longer must start again with a resync, and receives an
//! error that says so.

mod batch_size;
mod handle;
mod health;
mod hook;
mod outbox;
mod pipeline;
mod replay;
mod session;
mod settings;
mod stream;
mod table;
mod task;
mod worker;

use diesel_migrations::{EmbeddedMigrations, embed_migrations};

pub use handle::Relay;
pub use health::RelayFailure;
pub use hook::{OutboxEvent, RelayHook};
pub use outbox::{Outbox, OutboxError};
pub use settings::RelaySettings;

/// Creates the tables of the outbox, in the schema `public`. Apply them before the migrations of the service, whose
/// triggers write to the outbox.
pub const MIGRATIONS: EmbeddedMigrations = embed_migrations!("migrations");
