//! Strategy 5: stale-while-revalidate. Past its soft TTL, an entry is served at once and refreshed behind.
//!
//! ```text
//! t=0 s    read   miss, stored: soft TTL 5 s, hard TTL 60 s
//! t=3 s    write  Postgres has version 2
//! t=6 s    read   version 1 at once (`hit; ttl=-1`); one refresh starts behind
//! t=6.01 s read   hit, version 2
//! t=66 s   read   miss: nobody came for 60 s
//! ```
//!
//! Promises: only the first read ever waits for the database; 200 readers of a stale entry cause one refresh, in one
//! process. A read is never older than the hard TTL. Costs: somebody always gets the old value first.
//! The featured list is the place for it: everybody reads it, and nobody minds a few seconds.

use std::collections::BTreeSet;

use cache::{Cached, GetError, NewEntry};

use runtime::conditions::Preconditions;

use crate::catalogue::{CatalogueError, ProductChange, ProductId};
use crate::keys;
use crate::products::{CacheWrite, ProductService, WriteEffect};

/// Never waits while a copy exists, fresh or stale.
pub async fn read(service: &ProductService, id: ProductId) -> Result<Cached, GetError> {
    let lane = &service.caches.swr;
    lane.get_or_load(&lane.key(id), service.load_product(id, |_| vec![])).await
}

/// Writes to the database. The entry becomes stale in its own time.
pub async fn write(
    service: &ProductService,
    id: ProductId,
    change: &ProductChange,
    expect: &Preconditions,
) -> Result<CacheWrite, CatalogueError> {
    let updated = service.acknowledge_uncached(service.catalogue.update(id, change, expect).await).await?;
    Ok(CacheWrite { updated, effect: WriteEffect::None })
}

/// The featured list; never waits while a copy exists. What it shows of a product may be old; which products are on it is
/// not: who adds or removes one, or renames a category, invalidates the list.
pub async fn featured(service: &ProductService) -> Result<Cached, GetError> {
    let lane = &service.caches.featured;
    let catalogue = service.catalogue.clone();
    let load = move || {
        let catalogue = catalogue.clone();
        async move {
            let list = catalogue.featured().await?;
            let names: BTreeSet<i64> = list.products.iter().map(|product| product.category.id).collect();
            let names = names.into_iter().map(|category| keys::category(category.into()));
            Ok::<_, CatalogueError>(NewEntry::json(&list)?.tag(keys::featured()).tags(names))
        }
    };
    lane.get_or_load(&lane.key("list"), load).await
}
