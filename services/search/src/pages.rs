//! Result pages: found in the cache, or searched for and stored, if they may be.

use std::sync::Arc;
use std::time::{Duration, Instant};

use cache::{Cache, CacheSettings, FetchError, Fetched, Lane, Loaded, Tag};
use metrics::histogram;
use tokio::sync::Semaphore;
use tokio::task::{JoinError, spawn_blocking};
use tokio::time::timeout;

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
    searches: Arc<Semaphore>,
    longest_wait: Duration,
}

/// A search that failed.
#[derive(Debug, thiserror::Error)]
pub enum SearchError {
    /// The index has not been built yet.
    #[error("the index is being built")]
    Building,
    /// Too many searches run already.
    #[error("too many searches are running")]
    Overloaded,
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
    /// Pages in `lane` of `cache`. As many searches run at once as `limits` allow loads, whether they go through the cache
    /// or not: a search without Redis costs as much as one with it.
    pub fn new(cache: Cache, lane: Lane, horizon: Horizon, state: Arc<State>, limits: &CacheSettings) -> Self {
        let searches = Arc::new(Semaphore::new(limits.max_loads.max(1)));
        Self { cache, lane, horizon, state, searches, longest_wait: limits.load_queue }
    }

    /// The page that `search` asks for.
    ///
    /// # Errors
    /// When the index cannot be searched, or too many searches run already.
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
        let turn = Arc::clone(&self.searches).acquire_owned();
        let Ok(Ok(turn)) = timeout(self.longest_wait, turn).await else { return Err(SearchError::Overloaded) };
        let began = Instant::now();
        let snapshot = self.state.snapshot().ok_or(SearchError::Building)?;
        let position = snapshot.position;
        // A client that goes away ends neither the search nor its turn.
        let search = spawn_blocking(move || {
            let finding = page::find(&search, &snapshot);
            drop(turn);
            finding
        });
        let finding = search.await??;
        histogram!("search_query_seconds").record(began.elapsed());
        Ok((finding, position))
    }

    /// Whether an index at `position` has all that has touched `tags`. Not known is no.
    async fn may_store(&self, tags: &[Tag], position: u64) -> bool {
        // Without Redis nothing is stored, and nobody should wait for its answer.
        self.cache.health().is_in_use()
            && self.state.owed().is_none()
            && self.horizon.of(tags).await.is_ok_and(|horizon| horizon.is_some_and(|horizon| horizon <= position))
    }
}
