//! Strategy 3: write-through. The writer stores the new value, so that the next read is a hit.
//!
//! ```text
//! write  BEGIN ─ row lock ─ UPDATE ─ lease on product:writethrough:1 ─ COMMIT ─ store version 2 ─ 200 OK
//! read                                                                                              hit, version 2
//! ```
//!
//! Guarantee: that of explicit invalidation, and the next read is fast. The writer takes the lease under the row's
//! lock, so of two writers the one that commits later takes the lease later, and the store of the other is refused. Cost:
//! a round trip to Redis while the row is locked, and memory for values that may never be read.
//!
//! The outbox records that this strategy made the change. If the process is killed before it stores the value, or Redis
//! does not acknowledge it (`detail=deferred`), the relay removes an entry that is older than the committed version. It
//! keeps a value that the writer has stored.

use cache::error::LoadError;
use cache::write_through::WriteLease;
use cache::{Cached, Invalidation, Tag};
use contract::ProductId;

use service::conditions::Preconditions;

use crate::catalogue::{CatalogueError, Product, ProductChange, UpdatedProduct, Writer};
use crate::keys;
use crate::products::{self, CacheWrite, ProductService};

/// Returns the entry, which the first read or write stores.
pub async fn read(service: &ProductService, id: ProductId) -> Result<Cached<Product>, LoadError> {
    service.caches.writethrough.read(id, service.load_product(id, tags)).await
}

/// Writes to the database and stores the committed value. If storing it is no longer safe, deletes the entry.
pub async fn write(
    service: &ProductService, id: ProductId, change: &ProductChange, expect: &Preconditions,
) -> Result<CacheWrite, CatalogueError> {
    let lane = &service.caches.writethrough;
    let catalogue = service.catalogue.as_writer(Writer::Writethrough);
    let (updated, lease) = match catalogue.update_locked(id, change, expect, || lane.begin_write(id)).await {
        Ok(written) => written,
        // Dropping the lease invalidates the entry.
        Err(error) => {
            let lists = |(updated, _): &(UpdatedProduct, WriteLease<Product>)| {
                service.caches.with_lists_of(Invalidation::hard(), updated)
            };
            return Err(service.invalidate_if_in_doubt(error, lists).await);
        }
    };
    let effect = lease.publish(products::entry(&updated.product, tags(&updated.product))).await.into();
    Ok(CacheWrite { updated, effect })
}

/// Returns the tag of the category, because its name comes from another row. All other data come from the locked row.
fn tags(product: &Product) -> Vec<Tag> {
    vec![keys::category(product.category.id.into())]
}
