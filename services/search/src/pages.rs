//! Result pages: read from the cache, or searched for and stored if no newer event has outdated them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use cache::error::LoadError;
use cache::{Cache, CacheClient, CacheSettings, Cached, NewEntry, Tag, with};
use metrics::histogram;
use tokio::sync::Semaphore;
use tokio::task::{JoinError, spawn_blocking};
use tokio::time::timeout;

use crate::query::page::{self, Finding, Page};
use crate::query::search::Search;
use crate::state::IndexStatus;
use crate::watermarks::{TagWatermarks, Watermark};

/// The bypass reason of a page that is not read from the cache because an invalidation is pending.
const INVALIDATIONS_PENDING: &str = "repair-pending";

/// The result pages, through the cache. Cheap to clone.
#[derive(Clone)]
pub struct ResultPages {
    client: CacheClient,
    pages: Cache<Page>,
    watermarks: TagWatermarks,
    state: Arc<IndexStatus>,
    searches: Arc<Semaphore>,
    longest_wait: Duration,
}

/// The position and the lineage of the index from which a page was built.
#[derive(Clone, Copy, Debug)]
struct IndexPosition {
    position: u64,
    lineage: u64,
}

/// Why a search failed.
#[derive(Debug, thiserror::Error)]
pub enum SearchError {
    /// The index has not been built yet.
    #[error("the index is being built")]
    Building,
    /// Too many searches are running.
    #[error("too many searches are running")]
    Overloaded,
    /// The index returned an error.
    #[error("the index cannot be searched: {0}")]
    Index(#[from] tantivy::TantivyError),
    /// The search panicked.
    #[error("the search was aborted: {0}")]
    Panic(#[from] JoinError),
}

impl ResultPages {
    /// Creates the pages in the cache `pages` of `client`. `limits` bounds the concurrent searches, whether they
    /// go through the cache or bypass it: a search without Redis costs as much as one with it.
    pub fn new(
        client: CacheClient, pages: Cache<Page>, watermarks: TagWatermarks, state: Arc<IndexStatus>,
        limits: &CacheSettings,
    ) -> Self {
        let searches = Arc::new(Semaphore::new(limits.max_loads.max(1)));
        Self { client, pages, watermarks, state, searches, longest_wait: limits.load_queue }
    }

    /// Returns the page for `search`.
    ///
    /// # Errors
    /// Fails when the index cannot be searched, or when too many searches are running.
    pub async fn find(&self, search: Search) -> Result<Cached<Page>, LoadError> {
        let search = Arc::new(search);
        let load = with(self, Arc::clone(&search), Self::load);
        match self.state.pending_invalidation() {
            // The cache may still hold a page that this replica knows to be outdated.
            Some(_) => self.pages.load_uncached(search, INVALIDATIONS_PENDING, load).await,
            None => self.pages.read(search, load).await,
        }
    }

    /// Searches and builds the entry, under the lease of the page. The search comes first and the watermarks second,
    /// both after the lease was taken.
    async fn load(&self, search: Arc<Search>) -> Result<NewEntry<Page>, SearchError> {
        let (finding, index) = self.search_index(search).await?;
        let loaded = NewEntry::value(&finding.page);
        if self.may_store(&finding.tags, index).await {
            return Ok(loaded.tags(finding.tags));
        }
        Ok(loaded.do_not_store())
    }

    async fn search_index(&self, search: Arc<Search>) -> Result<(Finding, IndexPosition), SearchError> {
        let permit = Arc::clone(&self.searches).acquire_owned();
        let Ok(Ok(permit)) = timeout(self.longest_wait, permit).await else { return Err(SearchError::Overloaded) };
        let began = Instant::now();
        let snapshot = self.state.snapshot().ok_or(SearchError::Building)?;
        let index = IndexPosition { position: snapshot.position, lineage: snapshot.lineage };
        // When the client disconnects, the search still runs to its end and keeps its permit until then.
        let search = spawn_blocking(move || {
            let finding = page::find(&search, &snapshot);
            drop(permit);
            finding
        });
        let finding = search.await??;
        histogram!("search_query_seconds").record(began.elapsed());
        Ok((finding, index))
    }

    /// Returns whether the index of a page includes every event that invalidates `tags`, and belongs to the history in
    /// which these events are numbered. Returns `false` when this is unknown.
    async fn may_store(&self, tags: &[Tag], index: IndexPosition) -> bool {
        let covers = |watermark: Watermark| {
            watermark.number <= index.position && self.state.is_lineage_checked(watermark.id, index.lineage)
        };
        // Without Redis nothing is stored, so the request must not wait for a response of Redis.
        self.client.health().is_in_use()
            && self.state.pending_invalidation().is_none()
            && self.watermarks.required_position(tags).await.is_ok_and(|watermark| watermark.is_some_and(covers))
    }
}
