//! Strategy 1: TTL. The entry expires; the writer does nothing.
//!
//! ```text
//! t=0 s   read   miss, stored with a TTL of 10 s
//! t=3 s   write  Postgres has version 2, the entry still version 1
//! t=4 s   read   hit, version 1: stale
//! t=10 s  read   miss, version 2
//! ```
//!
//! Guarantee: a read is never older than the TTL plus the time of its load. Cost: every read in that window may be stale, and after every expiry
//! one read is slow, whether the product changed or not.

use cache::Cached;
use cache::error::LoadError;
use contract::ProductId;

use service::conditions::Preconditions;

use crate::catalogue::{CatalogueError, Product, ProductChange};
use crate::products::{CacheWrite, ProductService, WriteEffect};

/// Returns the entry until its TTL ends, also after the product has changed in the database.
pub async fn read(service: &ProductService, id: ProductId) -> Result<Cached<Product>, LoadError> {
    service.caches.ttl.read(id, service.load_product(id, |_| vec![])).await
}

/// Writes to the database. The entry stays until its TTL ends.
pub async fn write(
    service: &ProductService, id: ProductId, change: &ProductChange, expect: &Preconditions,
) -> Result<CacheWrite, CatalogueError> {
    let updated = service.acknowledge_uncached(service.catalogue.update(id, change, expect).await).await?;
    Ok(CacheWrite { updated, effect: WriteEffect::None })
}
