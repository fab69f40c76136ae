//! The data of products: from the cache, from the product API, or from the last known snapshot.
//!
//! | source | fresh? | stored in the cache? |
//! |---|---|---|
//! | the cache | as fresh as the applied events | already stored |
//! | the product API, with a version not below the last event's | yes | yes |
//! | the product API, with an older version, twice | no, marked as stale | no |
//! | `known_products`, while the product API is unavailable | no, marked as stale | no |
//!
//! The cache is bypassed while it is uncertain whether all events have been applied.
//!
//! No decision depends on a clock. An event removes the entry, which also ends the lease of a load in flight, and
//! raises the minimum version that a response must have.

mod model;
mod snapshots;
mod source;
mod upstream;

pub use model::{ProductFields, ProductInfo, Snapshot, State};
pub use snapshots::ProductSnapshots;
pub use upstream::{Upstream, UpstreamDown};

use std::collections::HashMap;

use cache::error::LoadError;
use cache::{Cache, Cached, NewEntry};
use contract::ProductId;
use futures_util::future::join_all;
use outbox::consumer::EventProgress;

use crate::error::CartError;
use source::Source;

/// The reason for the bypass in `Cache-Status`.
pub const UNVERIFIED: &str = "events-unverified";

/// The reader of product data. Cheap to clone.
#[derive(Clone, Debug)]
pub struct ProductSource {
    cache: Cache<ProductInfo>,
    progress: EventProgress,
    source: Source,
}

impl ProductSource {
    /// Creates a reader through `cache`, which is as fresh as the `progress` of the events.
    pub fn new(
        cache: Cache<ProductInfo>, progress: EventProgress, upstream: Upstream, snapshots: ProductSnapshots,
    ) -> Self {
        let source = Source { upstream, snapshots };
        Self { cache, progress, source }
    }

    /// Returns whether all events are known to have been applied. Otherwise the entries in the cache may be outdated.
    pub fn are_verified(&self) -> bool {
        self.progress.verified().is_ok()
    }

    /// Returns the data of one product, through the cache.
    ///
    /// # Errors
    /// Returns an error if the database does not respond.
    pub async fn one(&self, id: ProductId) -> Result<ProductInfo, LoadError> {
        let found = self.through_cache(&[id.get()]).await?.remove(&id.get());
        Ok(found.unwrap_or_else(ProductInfo::unknown))
    }

    /// Returns the cached data of these products, without a load.
    pub async fn cached(&self, ids: &[i64]) -> HashMap<i64, ProductInfo> {
        let look = |id: i64| async move { Some((id, product_info(&self.cache.get(id).await?))) };
        join_all(ids.iter().copied().map(look)).await.into_iter().flatten().collect()
    }

    /// Returns the data of these products, through the cache, and loads those that are missing. One request covers all
    /// products that no other reader is already loading, so their loads share one permit of the bulkhead.
    ///
    /// # Errors
    /// Returns an error if the database does not respond.
    pub async fn through_cache(&self, ids: &[i64]) -> Result<HashMap<i64, ProductInfo>, LoadError> {
        let source = self.source.clone();
        let load = move |missing: Vec<i64>| {
            let source = source.clone();
            async move {
                let infos = source.product_infos(&missing).await?;
                let unknown = ProductInfo::unknown();
                let found = missing.into_iter().map(|id| (id, entry(infos.get(&id).unwrap_or(&unknown))));
                Ok::<_, CartError>(found.collect())
            }
        };
        let wanted = ids.iter().copied();
        let read = match self.are_verified() {
            true => self.cache.read_many(wanted, load).await,
            false => self.cache.load_many_uncached(wanted, UNVERIFIED, load).await,
        };
        ids.iter().zip(read).map(|(id, read)| Ok((*id, product_info(&read?)))).collect()
    }

    /// Returns the data of these products, bypassing the cache.
    ///
    /// # Errors
    /// Returns an error if the database does not respond.
    pub async fn uncached(&self, ids: &[i64]) -> Result<HashMap<i64, ProductInfo>, CartError> {
        self.source.product_infos(ids).await
    }
}

/// Returns the new entry for a product. Stale data are not stored.
fn entry(info: &ProductInfo) -> NewEntry<ProductInfo> {
    match &info.product {
        State::Gone(None) if !info.stale => NewEntry::absent(),
        _ if info.stale => NewEntry::value(info).do_not_store(),
        State::Sold(facts) => NewEntry::value(info).version(facts.version.unsigned_abs()),
        State::Gone(_) | State::Unknown => NewEntry::value(info),
    }
}

/// Decodes an entry. An entry that cannot be decoded counts as unknown: a change of the format of [`ProductInfo`]
/// requires a new schema for the cache.
fn product_info(fetched: &Cached<ProductInfo>) -> ProductInfo {
    match fetched.value() {
        Ok(Some(info)) => info,
        Ok(None) => ProductInfo::fresh(State::Gone(None)),
        Err(_) => ProductInfo::unknown(),
    }
}
