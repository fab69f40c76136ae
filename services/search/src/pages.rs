//! Result pages: found in the cache, or searched for and stored, if they may be.

use std::sync::Arc;
use std::time::Instant;

use cache::{Cache, FetchError, Fetched, Health, Lane, Loaded, Tag};
use metrics::histogram;
use tokio::task::{JoinError, spawn_blocking};

use crate::horizon::Horizon;
use crate::query::page::{self, Finding};
use crate::query::search::Search;
use crate::state::State;

/// Where pages come from. Cheap to clone.
#[derive(Clone)]
pub struct Pages {
    cache: Cache,
    lane: Lane,
    horizon: Horizon,
    state: Arc<State>,
}

/// A search that failed.
#[derive(Debug, thiserror::Error)]
pub enum SearchError {
    /// The index has not been built yet.
    #[error("the index is being built")]
    Building,
    /// The index does not work.
    #[error("the index: {0}")]
    Index(#[from] tantivy::TantivyError),
    /// The search panicked.
    #[error("the search: {0}")]
    Panic(#[from] JoinError),
    /// The page cannot be written down.
    #[error("the page: {0}")]
    Json(#[from] serde_json::Error),
}

/// A page, from the cache or beside it.
pub enum Found {
    /// Through the cache.
    Cached(Fetched),
    /// Beside the cache, because what lies there may be outdated.
    Beside(page::Page),
}

impl Pages {
    /// Pages in `lane` of `cache`.
    pub fn new(cache: Cache, lane: Lane, horizon: Horizon, state: Arc<State>) -> Self {
        Self { cache, lane, horizon, state }
    }

    /// The page that `search` asks for.
    ///
    /// # Errors
    /// When the index cannot be searched.
    pub async fn find(&self, search: Search) -> Result<Found, FetchError> {
        // What this replica knows to be outdated may still lie in the cache.
        if self.state.owed().is_some() {
            let finding = self.look(Arc::new(search)).await;
            return finding
                .map(|(finding, _)| Found::Beside(finding.page))
                .map_err(|error| FetchError::Load(Arc::new(error)));
        }
        let key = self.lane.key(&search);
        let (pages, search) = (self.clone(), Arc::new(search));
        let load = move || {
            let (pages, search) = (pages.clone(), Arc::clone(&search));
            async move { pages.load(search).await }
        };
        self.lane.fetch(&key, load).await.map(Found::Cached)
    }

    /// Runs under the lease of the page. The index first, then the horizon: both after the lease was taken.
    async fn load(&self, search: Arc<Search>) -> Result<Loaded, SearchError> {
        let (finding, position) = self.look(search).await?;
        let loaded = Loaded::json(&finding.page)?;
        if self.may_store(&finding.tags, position).await {
            return Ok(loaded.tags(finding.tags));
        }
        Ok(loaded.without_storing())
    }

    async fn look(&self, search: Arc<Search>) -> Result<(Finding, u64), SearchError> {
        let began = Instant::now();
        let snapshot = self.state.snapshot().ok_or(SearchError::Building)?;
        let position = snapshot.position;
        let finding = spawn_blocking(move || page::find(&search, &snapshot)).await??;
        histogram!("search_query_seconds").record(began.elapsed());
        Ok((finding, position))
    }

    /// Whether an index at `position` has all that has touched `tags`. Not known is no.
    async fn may_store(&self, tags: &[Tag], position: u64) -> bool {
        // Without Redis nothing is stored, and nobody should wait for its answer.
        self.cache.health() == Health::Up
            && self.state.owed().is_none()
            && self.horizon.of(tags).await.is_ok_and(|horizon| horizon.is_some_and(|horizon| horizon <= position))
    }
}
