//! Invalidation of result pages for all replicas, through Redis.
//!
//! The invalidator advances the watermarks first and invalidates the tags second; [`watermarks`](crate::watermarks)
//! explains the order. When either step fails, an invalidation of all pages is pending. Until Redis has accepted it,
//! this replica serves no page from the cache, and records the pending invalidation in its commits.

use std::sync::Arc;

use cache::{CacheClient, Invalidation, Tag};
use outbox::RecurringFailure;
use service::events::{require_invalidated, require_purged};
use tracing::warn;

use crate::state::IndexStatus;
use crate::watermarks::TagWatermarks;

/// Invalidates result pages in Redis. Cheap to clone.
#[derive(Clone)]
pub struct Invalidator {
    cache: CacheClient,
    watermarks: TagWatermarks,
    state: Arc<IndexStatus>,
    reset_failure: Arc<RecurringFailure>,
}

impl Invalidator {
    /// Creates an invalidator that writes to `watermarks` and `cache`, and records pending invalidations in `state`.
    pub fn new(cache: CacheClient, watermarks: TagWatermarks, state: Arc<IndexStatus>) -> Self {
        let failing = "result pages from an earlier history of the event log cannot be invalidated yet";
        let recovered = "result pages from an earlier history of the event log are invalidated";
        let reset_failure = RecurringFailure::new("pages", failing, recovered);
        Self { cache, watermarks, state, reset_failure: Arc::new(reset_failure) }
    }

    /// Invalidates pages with `tags`, which events up to `position` have outdated.
    pub async fn invalidate(&self, position: u64, tags: Vec<Tag>) {
        if tags.is_empty() {
            return;
        }
        // While the circuit breaker is open, the call fails without a command, so that the caller does not wait for a
        // timeout each time.
        let advanced = match self.cache.health().is_in_use() {
            true => self.watermarks.advance(position, &tags).await.map_err(|error| error.to_string()),
            false => Err("Redis is not in use".to_owned()),
        };
        let done = match advanced {
            Ok(()) => {
                let pages = Invalidation::hard().tags(tags);
                match self.state.pending_invalidation() {
                    None => require_invalidated(&self.cache, pages).await.map_err(|error| error.to_string()),
                    // This replica uses no page anyway, so it need not wait.
                    Some(_) => {
                        let done = self.cache.invalidate(pages).await.acknowledged();
                        done.map(drop).map_err(|error| error.to_string())
                    }
                }
            }
            Err(error) => Err(error),
        };
        if let Err(error) = done {
            self.set_pending(position, &error);
        }
    }

    /// Invalidates every page that was built from an index before `position`.
    pub async fn invalidate_all(&self, position: u64) {
        if let Err(error) = self.drop_all(position).await {
            self.set_pending(position, &error);
        }
    }

    /// Resets the watermarks and purges all pages, because the data in Redis may be of any age. No replica stores a
    /// page until the watermarks are known again.
    ///
    /// # Errors
    /// Fails when either step fails in Redis.
    pub async fn reset_shared_state(&self, position: u64) -> Result<(), String> {
        self.watermarks.forget().await.map_err(|error| error.to_string())?;
        self.drop_all(position).await
    }

    /// Invalidates everything in Redis after the history of the catalogue has changed: the event numbers there are no
    /// longer comparable. If Redis does not respond, the invalidation of the pages stays pending until the reindex that
    /// follows, and the maintenance task detects the watermarks that are too high.
    /// Returns whether Redis responded.
    pub async fn reset_history(&self) -> bool {
        self.state.mark_not_current();
        match self.reset_shared_state(0).await {
            Ok(()) => {
                self.reset_failure.recovered();
                true
            }
            Err(error) => {
                self.reset_failure.failed(&error);
                self.set_pending(1, &error);
                false
            }
        }
    }

    /// Retries the pending invalidation, if there is one and Redis is in use.
    pub async fn retry_pending(&self) {
        if let Some(position) = self.state.pending_invalidation().filter(|_| self.cache.health().is_in_use())
            && self.drop_all(position).await.is_ok()
        {
            self.state.clear_pending(position);
        }
    }

    async fn drop_all(&self, position: u64) -> Result<(), String> {
        self.watermarks.raise_floor(position).await.map_err(|error| error.to_string())?;
        require_purged(&self.cache).await.map_err(|error| error.to_string())
    }

    fn set_pending(&self, position: u64, error: &str) {
        if self.state.pending_invalidation().is_none() {
            warn!(
                error,
                "the invalidation of result pages failed; this replica bypasses cached pages until it succeeds"
            );
        }
        self.state.set_pending(position);
    }
}
