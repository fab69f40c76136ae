//! The relay of one process.

use database::PostgresSettings;
use redis_connect::RedisAddress;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::batch_size::BatchSize;
use super::health::{RelayFailure, RelayHealth};
use super::hook::RelayHook;
use super::pipeline::Pipeline;
use super::settings::RelaySettings;
use super::stream::StreamWriter;
use super::task;
use super::worker::Worker;
use crate::event::EventSource;

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
    pub fn start(
        settings: &RelaySettings, source: EventSource, postgres: &PostgresSettings, redis: &RedisAddress,
        hook: impl RelayHook,
    ) -> Self {
        let stream = StreamWriter::open(redis, source, settings.stream_length);
        let stop = CancellationToken::new();
        let (settles, settled) = watch::channel(false);
        let (status_sender, failing) = watch::channel(None);
        let worker = Worker {
            pipeline: Pipeline {
                settings: settings.clone(),
                health: RelayHealth::new(source.stream, status_sender),
                batch_size: BatchSize::new(settings.batch),
                stream,
                hook,
            },
            settles,
        };
        let task = tokio::spawn(task::run(worker, postgres.url.clone(), stop.clone()));
        Self { stop, settled, failing, task }
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
