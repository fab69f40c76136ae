//! Telling all replicas, by Redis, what events have outdated.
//!
//! The watermarks first, then the invalidation: see `watermarks`. When Redis takes either of them not, this replica owes it an
//! invalidation of everything, serves no page from the cache until that is paid, and notes the debt in its commits.

use std::sync::Arc;

use cache::{CacheClient, Invalidated, Invalidation, Tag};
use tracing::warn;

use crate::state::IndexStatus;
use crate::watermarks::TagWatermarks;

/// The way to tell. Cheap to clone.
#[derive(Clone)]
pub struct Invalidator {
    cache: CacheClient,
    horizon: TagWatermarks,
    state: Arc<IndexStatus>,
}

impl Invalidator {
    /// Tells through `watermarks` and `cache`, and notes in `state` what could not be told.
    pub fn new(cache: CacheClient, horizon: TagWatermarks, state: Arc<IndexStatus>) -> Self {
        Self { cache, horizon, state }
    }

    /// Events up to `position` have touched `tags`.
    pub async fn touched(&self, position: u64, tags: Vec<Tag>) {
        if tags.is_empty() {
            return;
        }
        // Not even tried while Redis is left alone: who announces must not wait for it again and again.
        let raised = match self.cache.health().is_in_use() {
            true => self.horizon.advance(position, &tags).await.map_err(|error| error.to_string()),
            false => Err("Redis is not in use".to_owned()),
        };
        let told = match raised {
            Ok(()) => match self.cache.invalidate(Invalidation::hard().tags(tags)).await {
                Invalidated::Done { .. } => Ok(()),
                Invalidated::Deferred => Err("Redis did not take an invalidation".to_owned()),
            },
            Err(error) => Err(error),
        };
        if let Err(error) = told {
            self.set_pending(position, &error);
        }
    }

    /// Everything that is made of an index before `position` is outdated.
    pub async fn invalidate_all(&self, position: u64) {
        if let Err(error) = self.drop_all(position).await {
            self.set_pending(position, &error);
        }
    }

    /// What Redis holds may be of any age: nothing is stored until the horizon is known again, and nothing is kept.
    ///
    /// # Errors
    /// When Redis does not do it.
    pub async fn reset_shared_state(&self, position: u64) -> Result<(), String> {
        self.horizon.forget().await.map_err(|error| error.to_string())?;
        self.drop_all(position).await
    }

    /// Everything in Redis is of another history of the catalogue: its numbers mean nothing. Where Redis does not answer, the
    /// walk that follows owes the pages, and the keeper finds numbers that are too high.
    pub async fn reset_history(&self) {
        self.state.mark_not_current();
        if let Err(error) = self.reset_shared_state(0).await {
            warn!(error, "pages with a different history cannot be invalidated yet");
            self.set_pending(1, &error);
        }
    }

    /// Does what is owed, if anything is and Redis is there.
    pub async fn retry_pending(&self) {
        if let Some(owed) = self.state.owed().filter(|_| self.cache.health().is_in_use())
            && self.drop_all(owed).await.is_ok()
        {
            self.state.clear_pending(owed);
        }
    }

    async fn drop_all(&self, position: u64) -> Result<(), String> {
        self.horizon.raise_floor(position).await.map_err(|error| error.to_string())?;
        match self.cache.purge().await {
            Invalidated::Done { .. } => Ok(()),
            Invalidated::Deferred => Err("Redis did not take an invalidation".to_owned()),
        }
    }

    fn set_pending(&self, position: u64, error: &str) {
        if self.state.owed().is_none() {
            warn!(error, "pages cannot be invalidated; cached pages are not used until all of them are");
        }
        self.state.set_pending(position);
    }
}
