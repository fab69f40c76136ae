//! From the outbox table to the stream: in order, without holes, by any number of processes.
//!
//! ```text
//! woken by NOTIFY, or every `poll`
//!   number   committed rows get the next numbers, under the lock of the one row of outbox_head
//!   hook     the service's own caches forget what the events outdate
//!   append   one script: only ever the number that follows the stream's last one; and PUBLISH
//!   done     the rows are marked
//! ```
//!
//! Numbers belong to the database, not to Redis. A crash anywhere leaves rows that are numbered and not done: they are
//! taken up again, by whoever comes along, and the script passes over what it has. A Redis that lost the stream is
//! given the last hour again, under the same numbers, so consumers that store their position stay right. A relay that
//! finds the stream behind the row it holds appends the rows before it first, whoever numbered them.
//!
//! After a failure the relay takes half as many rows, down to a single one, so that an event which cannot be carried out
//! holds up only what comes after it. It pauses between attempts, logs the outage once ([`RecurringFailure`](crate::RecurringFailure)), and
//! says what fails ([`Relay::failing`]).
//!
//! What can still go wrong: a stream is bounded ([`RelaySettings::stream_length`]), and rows are deleted after
//! [`RelaySettings::retention`]; a consumer that was away for longer has to begin anew, and is told so.

mod batch_size;
mod health;
mod hook;
mod outbox;
mod session;
mod stream;
mod worker;

use std::time::Duration;

use database::PostgresSettings;
use serde::Deserialize;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub use health::RelayFailure;
pub use hook::{NoRelayHook, OutboxEvent, RelayHook};
pub use outbox::{Outbox, OutboxError};

use crate::contract::EventData;
use crate::{RedisUrlError, Source};

/// How the relay works. The `[relay]` section.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RelaySettings {
    /// The most rows that are numbered and appended at once; fewer after a failure. Default 500.
    pub batch: u32,
    /// How often it looks without being woken. Default 500 ms.
    #[serde(with = "humantime_serde")]
    pub poll: Duration,
    /// How long rows are kept after they are done. Default 1 h.
    #[serde(with = "humantime_serde")]
    pub retention: Duration,
    /// How often older rows are deleted. Default 1 min.
    #[serde(with = "humantime_serde")]
    pub prune_every: Duration,
    /// About how many events the stream holds; older ones are trimmed. Default 100,000.
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

/// The relay of one process. It ends by [`Relay::stop`] only.
#[derive(Debug)]
pub struct Relay {
    stop: CancellationToken,
    settled: watch::Receiver<bool>,
    failing: watch::Receiver<Option<RelayFailure>>,
    task: JoinHandle<()>,
}

impl Relay {
    /// Starts to relay from the outbox in `postgres` to `source`. Stores that are away are waited for.
    ///
    /// `T` is what the outbox's events say; `hook` is told of each batch before the stream is.
    ///
    /// # Errors
    /// When the Redis URL cannot be used.
    pub fn start<T: EventData>(
        settings: &RelaySettings,
        source: Source,
        postgres: &PostgresSettings,
        redis_url: &str,
        hook: impl RelayHook<T>,
    ) -> Result<Self, RedisUrlError> {
        let stream = stream::Stream::open(redis_url, source, settings.stream_length)?;
        let stop = CancellationToken::new();
        let (settles, settled) = watch::channel(false);
        let (status_sender, failing) = watch::channel(None);
        let worker = worker::Worker::new(settings.clone(), postgres.url.clone(), stream, hook, settles, status_sender);
        let task = tokio::spawn(worker.run(stop.clone()));
        Ok(Self { stop, settled, failing, task })
    }

    /// Waits until everything that had been committed at the start is appended.
    pub async fn caught_up(&self) {
        // An error means that the task has ended: nobody is left to wait for.
        let _ = self.settled.clone().wait_for(|settled| *settled).await;
    }

    /// What it cannot do just now; `None` while everything is carried out.
    pub fn failing(&self) -> watch::Receiver<Option<RelayFailure>> {
        self.failing.clone()
    }

    /// Lets the batch under way finish, then ends.
    pub async fn stop(self) {
        self.stop.cancel();
        // It ends by the token; a panic in it has been reported by the runtime.
        let _ = self.task.await;
    }
}
