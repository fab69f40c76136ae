//! Facts of products: from the cache, else from the product API, else the last known ones.
//!
//! | who says it | fresh? | stored? |
//! |---|---|---|
//! | the cache | as fresh as the events | it is |
//! | the product API, of a version not below the last event's | yes | yes |
//! | the product API, of an older version, twice | no, flagged | no |
//! | `known_products`, while the product API is away | no, flagged | no |
//!
//! The cache is left out while it is not known that events are carried out.
//!
//! Nothing here is decided by a clock: an event removes the entry, which also ends the lease of a load under way, and
//! raises the floor below which an answer is not believed.

mod batch;
mod model;
mod snapshots;
mod source;
mod upstream;

pub use model::{ProductFields, ProductInfo, Snapshot, State};
pub use snapshots::ProductSnapshots;
pub use upstream::{Upstream, UpstreamDown};

use std::collections::HashMap;

use cache::{Cache, Cached, GetError, NewEntry};
use events::consumer::EventProgress;
use futures_util::future::join_all;

use crate::error::CartError;
use crate::ids::ProductId;
use batch::RequestBatcher;
use source::Source;

/// Why the cache is left out, as `Cache-Status` says it.
pub const UNVERIFIED: &str = "events-unverified";

/// The way to facts. Cheap to clone.
#[derive(Clone, Debug)]
pub struct ProductSource {
    lane: Cache,
    progress: EventProgress,
    source: Source,
    batch: RequestBatcher,
}

impl ProductSource {
    /// Facts cached in `lane`, which is as fresh as the `progress` of the events.
    pub fn new(lane: Cache, progress: EventProgress, upstream: Upstream, snapshots: ProductSnapshots) -> Self {
        let source = Source { upstream, snapshots };
        Self { lane, progress, batch: RequestBatcher::new(source.clone()), source }
    }

    /// Whether events are carried out, as far as it is known: else what lies in the cache may be outdated.
    pub fn are_verified(&self) -> bool {
        self.progress.verified().is_ok()
    }

    /// What can be said about one product, through the cache.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn one(&self, id: ProductId) -> Result<ProductInfo, GetError> {
        self.fetch(self.lane.clone(), None, id).await
    }

    /// One product, where `together` with others: its load waits until theirs have begun.
    async fn fetch(&self, lane: Cache, together: Option<cache::Batch>, id: ProductId) -> Result<ProductInfo, GetError> {
        let batch = self.batch.clone();
        let load = move || {
            // Registered before the future is polled.
            let word = batch.product_info(id.get(), together.clone());
            async move { entry(&word.await?) }
        };
        let key = lane.key(id);
        let fetched = match self.are_verified() {
            true => lane.get_or_load(&key, load).await?,
            false => lane.load_uncached(&key, UNVERIFIED, load).await?,
        };
        Ok(product_info(&fetched))
    }

    /// What is in the cache about these products, without a load.
    pub async fn cached(&self, ids: &[i64]) -> HashMap<i64, ProductInfo> {
        let look = |id: i64| async move { Some((id, product_info(&self.lane.get(&self.lane.key(id)).await?))) };
        join_all(ids.iter().copied().map(look)).await.into_iter().flatten().collect()
    }

    /// What can be said about these products, through the cache: each is loaded into it that is not there. All that no other
    /// reader loads already are asked for in one request, so their loads share one place in the bulkhead.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn through_cache(&self, ids: &[i64]) -> Result<HashMap<i64, ProductInfo>, GetError> {
        let together = self.lane.batch();
        let one = |id: i64| {
            let (lane, together) = (together.cache(), together.clone());
            async move { Ok((id, self.fetch(lane, Some(together), id.into()).await?)) }
        };
        join_all(ids.iter().copied().map(one)).await.into_iter().collect()
    }

    /// What can be said about these products, past the cache.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn uncached(&self, ids: &[i64]) -> Result<HashMap<i64, ProductInfo>, CartError> {
        self.source.product_infos(ids).await
    }
}

/// A word as the cache keeps it, if it may.
fn entry(word: &ProductInfo) -> Result<NewEntry, CartError> {
    Ok(match &word.product {
        State::Gone(None) if !word.stale => NewEntry::absent(),
        _ if word.stale => NewEntry::json(word)?.do_not_store(),
        State::Sold(facts) => NewEntry::json(word)?.version(facts.version.unsigned_abs()),
        State::Gone(_) | State::Unknown => NewEntry::json(word)?,
    })
}

/// What an entry says. One that cannot be read says nothing: whoever changes the form of [`ProductInfo`] renames the lane.
fn product_info(fetched: &Cached) -> ProductInfo {
    match fetched.json() {
        Ok(Some(word)) => word,
        Ok(None) => ProductInfo::fresh(State::Gone(None)),
        Err(_) => ProductInfo::unknown(),
    }
}
