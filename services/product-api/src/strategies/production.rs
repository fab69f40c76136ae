//! Strategy 7: production. It combines the other strategies, each for its strength.
//!
//! | layer | purpose |
//! |---|---|
//! | delete of the key, by the writer | no stale read after the response to a write |
//! | tags | the same for entries that the writer does not know |
//! | the relay | the same, a moment later, for changes made elsewhere and for writers that were killed after COMMIT |
//! | soft TTL | hot entries are refreshed before a reader has to wait, and outlive an outage of the database |
//! | hard TTL with jitter | no entry lives forever, and entries do not all expire at the same time |
//! | fail open | without Redis, reads and writes continue; a bulkhead limits the concurrent loads |
//!
//! Guarantee: those of explicit invalidation and of tags, and fast reads of hot entries. While the database fails, an
//! entry past its soft TTL is still served, marked as stale. An invalidated entry is never served.

use cache::Cached;
use cache::error::LoadError;
use contract::ProductId;

use super::tags;
use service::conditions::Preconditions;

use crate::catalogue::{CatalogueError, Product, ProductChange, UpdatedProduct};
use crate::products::{CacheWrite, ProductService};

/// Returns the entry until something that it shows changes. After the soft TTL, it is returned at once and refreshed in
/// the background.
pub async fn read(service: &ProductService, id: ProductId) -> Result<Cached<Product>, LoadError> {
    service.caches.production.read(id, service.load_product(id, tags::shown)).await
}

/// Writes to the database, then removes the entry and every other entry that shows the product. The other services
/// learn of the change through the outbox.
pub async fn write(
    service: &ProductService, id: ProductId, change: &ProductChange, expect: &Preconditions,
) -> Result<CacheWrite, CatalogueError> {
    let updated = service.catalogue.update(id, change, expect).await;
    let outdated =
        |updated: &UpdatedProduct| tags::invalidation_for(service, updated).key(service.caches.production.key(id));
    let (updated, effect) = service.invalidate_after_update(updated, outdated).await?;
    Ok(CacheWrite { updated, effect })
}
