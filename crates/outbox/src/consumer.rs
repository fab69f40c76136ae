//! Applies the events of a stream, at least once.
//!
//! A service defines the effect of an event ([`EventHandler`]), and starts a [`Consumer`]: one supervised task that
//! reads events, applies them, and only then acknowledges them. Only [`Consumer::stop`] ends it.
//!
//! | condition | what the consumer does |
//! |---|---|
//! | an event is delivered twice | applies it once: it remembers the recently applied events |
//! | a number is missing | fetches the missing events from the log, or resyncs ([`EventHandler::resync`]) |
//! | a process dies between effect and acknowledgement | a peer claims its pending entries, and applies them again |
//! | the event handler takes long | extends the claim on its pending entries |
//! | it does not return within [`ConsumerSettings::handler_timeout`] | drops the call, and calls it again |
//! | it returns [`HandlerError::Unavailable`] | waits and retries, without limit |
//! | it returns [`HandlerError::Refused`] too often, or panics | dead letter, and resync: affected data is dropped |
//! | a message cannot be read | dead letter; applies the copy in the log, or resyncs; resync for a newer schema |
//! | Redis has restarted | resync, and continue from the position of the new stream |
//! | Redis hangs or is unreachable | reconnects; a [`Delivery::Log`] reads the log in the meantime |
//! | the log no longer has the events | resync, and continue from the position that it returns |
//! | the log has another history: its database was restored | resync, and continue from the position that it returns |
//! | the stream cannot be read, or the event handler fails for long | [`EventProgress`] reports it |
//!
//! [`Consumer::listen`] receives the messages of a Pub/Sub channel instead, for a service that can drop everything
//! whenever messages may have been missed.
//!
//! # Structure
//! `task` runs one session after the other: `group` (after `join`), or `reader`, or `pubsub`. A session reads a batch of
//! entries from the `stream`. One verb leads from there to the reaction: `Effects::apply` derives the steps for the batch
//! (`plan`), `Retry::apply` calls [`EventHandler::apply`] until it is done, and `backfill` fetches missing events. Only
//! `stream` and `pubsub` talk to Redis.
//!
//! # Limitations
//! The consumer may apply an event twice: after a crash, or when two processes apply it because one of them was frozen
//! for longer than [`ConsumerSettings::claim_after`]. A group may apply events out of order, with several processes or
//! after a claim. With [`Transport::Pubsub`], an event handler that never returns blocks its consumer, and
//! [`Consumer::stop`]. Redis keeps about 10,000 dead letters; older ones are trimmed.

mod backfill;
mod dead_letter;
mod effects;
mod group;
mod handle;
mod handler;
mod history;
mod join;
mod meter;
mod monitor;
mod plan;
mod progress;
mod pubsub;
mod reader;
mod retry;
mod session;
mod settings;
mod stream;
mod task;

pub use handle::Consumer;
pub use handler::{EventHandler, HandlerError, Position, Resync};
pub use progress::{ConsumerStatus, EventProgress, Followed, ProgressError};
pub use settings::{ChannelSubscription, ConsumerSettings, Delivery, Subscription, Transport};
