//! The task that owns the consumer and the indexer.

use std::sync::Arc;
use std::time::Duration;

use cache::CacheClient;
use outbox::consumer::{Consumer, Delivery, EventProgress, Subscription};
use outbox::log::{EventLog, LogError, LogPosition};
use redis_connect::RedisAddress;
use service::events::PRODUCT_EVENTS;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::index::Commit;
use crate::indexer::{Indexer, Work};
use crate::invalidator::Invalidator;
use crate::keys::DEAD_LETTERS;
use crate::react::ProductEventHandler;
use crate::settings::Settings;
use crate::state::IndexStatus;

/// Batches of events that wait while the indexer commits. When the queue is full, the consumer waits, and outdated
/// pages stay in the cache for longer.
const QUEUE: usize = 512;

/// A start does not wait longer than this for the log to confirm the history of the index.
const LOG_TIMEOUT: Duration = Duration::from_secs(2);

/// Builds the index where there is none, and follows the stream from there.
pub(crate) struct EventFollower {
    pub(crate) settings: Settings,
    pub(crate) redis: RedisAddress,
    pub(crate) log: EventLog,
    pub(crate) cache: CacheClient,
    pub(crate) invalidator: Invalidator,
    pub(crate) state: Arc<IndexStatus>,
    pub(crate) progress: EventProgress,
}

impl EventFollower {
    /// Follows the stream until `shutdown`. `commit` is the last commit of the previous process.
    pub(crate) async fn follow(self, mut indexer: Indexer, commit: Option<Commit>, shutdown: CancellationToken) {
        let position = tokio::select! {
            position = self.begin(&mut indexer, commit) => position,
            () = shutdown.cancelled() => return,
        };
        let (work, queue) = mpsc::channel::<Work>(QUEUE);
        let subscription = Subscription {
            source: PRODUCT_EVENTS,
            delivery: Delivery::Log(position),
            dead_letters: DEAD_LETTERS.to_owned(),
            log: self.log.clone(),
        };
        let handler = ProductEventHandler { cache: self.cache, invalidator: self.invalidator, state: self.state, work };
        let consumer = Consumer::start(&self.settings.events, &self.redis, subscription, handler);
        self.progress.follow(consumer.followed());
        indexer.run(queue, shutdown).await;
        consumer.stop().await;
    }

    /// Returns the position from which the consumer follows the stream.
    async fn begin(&self, indexer: &mut Indexer, commit: Option<Commit>) -> LogPosition {
        let Some(commit) = commit else { return indexer.reindex().await };
        match self.log.head(Some(commit.log_position()), LOG_TIMEOUT).await {
            Err(LogError::Diverged(position)) => {
                warn!(
                    position,
                    "the index has a different history than the catalogue's event log; it is compared with the catalogue"
                );
                // The event numbers of this index belong to another history, so its pages would appear newer than they
                // are.
                self.state.withdraw();
                self.invalidator.reset_history().await;
                indexer.reindex().await
            }
            _ => commit.log_position(),
        }
    }
}
