//! Strategy 5: stale-while-revalidate. An entry past its soft TTL is served at once and refreshed in the background.
//!
//! ```text
//! t=0 s    read   miss, stored: soft TTL 5 s, hard TTL 60 s
//! t=3 s    write  Postgres has version 2
//! t=6 s    read   version 1 at once (`hit; ttl=-1`); one background refresh starts
//! t=6.01 s read   hit, version 2
//! t=67 s   read   miss: the entry of t=6.01 s has reached its hard TTL
//! ```
//!
//! Guarantee: while an entry exists, no read waits for the database. 200 readers of a stale entry cause one refresh,
//! in any number of processes. A read is never older than the hard TTL plus the time of its load. Cost: the first reader
//! after the soft TTL receives the old value. The featured list suits this strategy: every client reads it, and a delay
//! of a few seconds does no harm.

use std::collections::BTreeSet;

use cache::error::LoadError;
use cache::{Cached, NewEntry, with};
use contract::ProductId;

use service::conditions::Preconditions;

use crate::catalogue::{Catalogue, CatalogueError, FeaturedList, Product, ProductChange};
use crate::keys;
use crate::products::{CacheWrite, ProductService, WriteEffect};

/// Returns the entry without waiting, whether it is fresh or stale. Waits for a load only if there is no entry.
pub async fn read(service: &ProductService, id: ProductId) -> Result<Cached<Product>, LoadError> {
    service.caches.swr.read(id, service.load_product(id, |_| vec![])).await
}

/// Writes to the database. The entry stays until its soft TTL ends.
pub async fn write(
    service: &ProductService, id: ProductId, change: &ProductChange, expect: &Preconditions,
) -> Result<CacheWrite, CatalogueError> {
    let updated = service.acknowledge_uncached(service.catalogue.update(id, change, expect).await).await?;
    Ok(CacheWrite { updated, effect: WriteEffect::None })
}

/// Returns the featured list. It waits for a load only if there is no entry. The products on the list may be shown with
/// old data, but the list of products is current: a write that adds or removes a product, or renames a category,
/// invalidates it.
pub async fn featured(service: &ProductService) -> Result<Cached<FeaturedList>, LoadError> {
    service.caches.featured.read("list", with(&service.catalogue, (), load_featured)).await
}

async fn load_featured(catalogue: &Catalogue, (): ()) -> Result<NewEntry<FeaturedList>, CatalogueError> {
    let list = catalogue.featured().await?;
    let categories: BTreeSet<i64> = list.products.iter().map(|product| product.category.id).collect();
    let names = categories.into_iter().map(|category| keys::category(category.into()));
    Ok(NewEntry::value(&list).tag(keys::featured()).tags(names))
}
