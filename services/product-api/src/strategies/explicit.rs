//! Strategy 2: explicit invalidation. The writer deletes the entry after COMMIT and before it responds.
//!
//! ```text
//! write  COMMIT version 2 ─ UNLINK product:explicit:1 ─ 200 OK
//! read                                                         miss, version 2 (slow once)
//! ```
//!
//! Guarantee: after the response to a write, no read returns the value from before it. The delete also removes the
//! lease of a load that began earlier, so that load cannot store the old value again. Cost: the next read is slow, and
//! the writer must know every key that shows the product. The category's name comes from another row, so the entry
//! carries the category's tag.
//!
//! The outbox records that this strategy made the change. If the process is killed before the UNLINK, or Redis does not
//! acknowledge it (`detail=deferred`), the relay removes the entry (`crate::events::invalidate_on_relay`).

use cache::error::LoadError;
use cache::{Cached, Invalidation};
use contract::ProductId;

use service::conditions::Preconditions;

use crate::catalogue::{CatalogueError, Product, ProductChange, Writer};
use crate::keys;
use crate::products::{CacheWrite, ProductService, WriteEffect};

/// Returns the entry until a write through this strategy deletes it.
pub async fn read(service: &ProductService, id: ProductId) -> Result<Cached<Product>, LoadError> {
    let load = service.load_product(id, |product| vec![keys::category(product.category.id.into())]);
    service.caches.explicit.read(id, load).await
}

/// Writes to the database, then deletes the entry. The order matters: if the entry were deleted first, a read before
/// the COMMIT would store the old value again.
pub async fn write(
    service: &ProductService, id: ProductId, change: &ProductChange, expect: &Preconditions,
) -> Result<CacheWrite, CatalogueError> {
    let updated = service.catalogue.as_writer(Writer::Explicit).update(id, change, expect).await;
    let (updated, effect) = service.invalidate_after_update(updated, |_| entry_of(service, id)).await?;
    Ok(CacheWrite { updated, effect })
}

/// Deletes the product, then its entry and the lists that showed it.
pub async fn delete(
    service: &ProductService, id: ProductId, expect: &Preconditions,
) -> Result<(Product, WriteEffect), CatalogueError> {
    let deleted = service.catalogue.as_writer(Writer::Explicit).delete(id, expect).await;
    let outdated =
        |product: &Product| service.caches.with_lists(entry_of(service, id), Some(product.list_membership()), None);
    service.invalidate_after_write(deleted, outdated).await
}

fn entry_of(service: &ProductService, id: ProductId) -> Invalidation {
    Invalidation::hard().key(service.caches.explicit.key(id))
}
