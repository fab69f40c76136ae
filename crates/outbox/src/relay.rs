//! Publishes the outbox table to the stream: in order, without gaps, from any number of processes.
//!
//! ```text
//! woken by NOTIFY, or every `poll`
//!   number   committed rows get the next numbers, under the lock of the single row of outbox_head
//!   hook     the service's own caches drop the data that the events make outdated
//!   append   one script: only the number that follows the stream's last one; and PUBLISH
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
//! Limitations: a stream is bounded ([`RelaySettings::stream_length`]), and the relay deletes rows after
//! [`RelaySettings::retention`]. A consumer that was stopped for longer must start again with a resync, and receives an
//! error that says so.

mod batch_size;
mod health;
mod hook;
mod outbox;
mod session;
mod stream;
mod worker;

use std::time::Duration;

use database::PostgresSettings;
pub use health::RelayFailure;
pub use hook::{OutboxEvent, RelayHook};
pub use outbox::{Outbox, OutboxError};
use serde::Deserialize;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::redis::RedisUrlError;
use crate::source::EventSource;

/// The configuration of the relay. The `[relay]` section.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RelaySettings {
    /// The maximum number of rows that are numbered and appended at once; fewer after a failure. Default 500.
    pub batch: u32,
    /// How often the relay polls the outbox without a notification. Default 500 ms.
    #[serde(with = "humantime_serde")]
    pub poll: Duration,
    /// How long rows are kept after they are appended. Default 1 h.
    #[serde(with = "humantime_serde")]
    pub retention: Duration,
    /// How often older rows are deleted. Default 1 min.
    #[serde(with = "humantime_serde")]
    pub prune_every: Duration,
    /// The approximate number of events that the stream holds; older ones are trimmed. Default 100,000.
    pub stream_length: u64,
}

impl Default for RelaySettings {
    fn default() -> Self {
        Self {
            batch: 500,
            poll: Duration::from_millis(500),
            retention: Duration::from_secs(3600),
            prune_every: Duration::from_secs(60),
            stream_length: 100_000,
        }
    }
}

/// The relay of one process. Only [`Relay::stop`] ends it.
#[derive(Debug)]
pub struct Relay {
    stop: CancellationToken,
    settled: watch::Receiver<bool>,
    failing: watch::Receiver<Option<RelayFailure>>,
    task: JoinHandle<()>,
}

impl Relay {
    /// Starts to relay from the outbox in `postgres` to `source`. The relay waits for stores that are unavailable.
    ///
    /// The relay calls `hook` with each batch before it appends the batch to the stream.
    ///
    /// # Errors
    /// Returns an error if the Redis URL cannot be used.
    pub fn start(
        settings: &RelaySettings,
        source: EventSource,
        postgres: &PostgresSettings,
        redis_url: &str,
        hook: impl RelayHook,
    ) -> Result<Self, RedisUrlError> {
        let stream = stream::Stream::open(redis_url, source, settings.stream_length)?;
        let stop = CancellationToken::new();
        let (settles, settled) = watch::channel(false);
        let (status_sender, failing) = watch::channel(None);
        let worker = worker::Worker::new(settings.clone(), postgres.url.clone(), stream, hook, settles, status_sender);
        let task = tokio::spawn(worker.run(stop.clone()));
        Ok(Self { stop, settled, failing, task })
    }

    /// Waits until every event that was committed at the start is appended.
    pub async fn caught_up(&self) {
        // An error means that the task has ended: there is nothing left to wait for.
        let _ = self.settled.clone().wait_for(|settled| *settled).await;
    }

    /// Returns what the relay currently fails to do; `None` while everything succeeds.
    pub fn failing(&self) -> watch::Receiver<Option<RelayFailure>> {
        self.failing.clone()
    }

    /// Lets the current batch finish, then ends the task.
    pub async fn stop(self) {
        self.stop.cancel();
        // The token ends the task; the runtime has already reported a panic in it.
        let _ = self.task.await;
    }
}
