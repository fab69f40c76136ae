//! The handler of product events: it immediately invalidates the pages that show the changed row, and queues the events
//! for the indexer.
//!
//! The two steps are separate so that the first is fast: it takes a few commands to Redis, while a commit of the index
//! takes tens of milliseconds, and other commits may be in progress. An event counts as applied when it is in the
//! indexer's queue. If this process dies then, no event is lost: the next process resumes at the position of the last
//! commit.

use std::collections::BTreeSet;
use std::sync::Arc;

use cache::{CacheClient, Tag};
use contract::ProductChange;
use outbox::consumer::{EventHandler, HandlerError, Resync};
use outbox::log::LogPosition;
use service::events::ProductEvent;
use tokio::sync::{mpsc, oneshot};
use tracing::warn;

use crate::indexer::Work;
use crate::invalidator::Invalidator;
use crate::keys;
use crate::state::IndexStatus;

/// The handler of product events.
pub struct ProductEventHandler {
    /// Publishes each event in the feed of the cache.
    pub cache: CacheClient,
    /// Invalidates pages in Redis.
    pub invalidator: Invalidator,
    /// The status of the index.
    pub state: Arc<IndexStatus>,
    /// The indexer's queue.
    pub work: mpsc::Sender<Work>,
}

impl EventHandler for ProductEventHandler {
    type Data = ProductChange;

    async fn apply(&self, events: &[ProductEvent]) -> Result<(), HandlerError> {
        let Some(last) = events.last() else { return Ok(()) };
        let tags: BTreeSet<Tag> = events.iter().map(|event| shown(&event.change)).collect();
        self.invalidator.invalidate(last.seq, tags.into_iter().collect()).await;
        for event in events {
            self.cache.feed().event(event.change.kind.name(), Some(event.seq), event.change.subject());
        }
        self.work.send(Work::Index(events.to_vec())).await.map_err(|_| stopping())
    }

    async fn resync(&self, why: Resync) -> Result<Option<LogPosition>, HandlerError> {
        match why {
            Resync::RedisChanged => {
                let position = self.state.snapshot().map_or(0, |snapshot| snapshot.position);
                self.invalidator.reset_shared_state(position).await.map_err(HandlerError::Unavailable)?;
                Ok(None)
            }
            Resync::NewGroup | Resync::Gap | Resync::LostEvent | Resync::OtherHistory | Resync::Unsubscribed => {
                warn!(?why, "events may have been missed; the index is compared with the whole catalogue");
                if why == Resync::OtherHistory {
                    self.invalidator.reset_history().await;
                }
                let (done, reindexed) = oneshot::channel();
                self.work.send(Work::Reindex(done)).await.map_err(|_| stopping())?;
                reindexed.await.map(Some).map_err(|_| stopping())
            }
        }
    }

    async fn skip_dead_letters(&self, numbers: &[u64]) -> Result<(), HandlerError> {
        let Some(last) = numbers.iter().copied().max() else { return Ok(()) };
        self.work.send(Work::Pass(last)).await.map_err(|_| stopping())
    }
}

/// Returns the tag of pages that show the changed row.
fn shown(change: &ProductChange) -> Tag {
    match change.product_id {
        Some(id) => keys::product(id),
        None => keys::category(change.category_id),
    }
}

fn stopping() -> HandlerError {
    HandlerError::Unavailable("the indexer is stopping".to_owned())
}
