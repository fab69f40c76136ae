//! Strategy 2: explicit invalidation. The writer deletes the entry, after COMMIT and before it answers.
//!
//! ```text
//! write  COMMIT version 2 ─ UNLINK product:explicit:1 ─ 200 OK
//! read                                                         miss, version 2 (slow once)
//! ```
//!
//! Promises: after the answer to a write, no read returns what was before. The delete also takes the lease of a
//! load that began before it, so the load cannot put the old value back. Costs: the next read is slow, and the
//! writer must know every key that shows the product; the category's name, which other rows decide, has a tag.
//!
//! The outbox records that this strategy has written. If the process is killed before the UNLINK, or Redis does not
//! answer it (`detail=deferred`), the relay removes the entry (`crate::events::aftermath`).

use cache::{Cached, GetError, Invalidation};

use runtime::conditions::Preconditions;

use crate::catalogue::{CatalogueError, Product, ProductChange, ProductId, Writer};
use crate::keys;
use crate::shop::{Effect, Shop, Written};

/// A hit until somebody writes through this strategy.
pub async fn read(shop: &Shop, id: ProductId) -> Result<Cached, GetError> {
    let lane = &shop.lanes.explicit;
    lane.get_or_load(&lane.key(id), shop.load_product(id, |product| vec![keys::category(product.category.id.into())]))
        .await
}

/// Writes to the database, then deletes the entry. In this order: the other way round, a read in between would
/// store the old value again.
pub async fn write(
    shop: &Shop,
    id: ProductId,
    change: &ProductChange,
    expect: &Preconditions,
) -> Result<Written, CatalogueError> {
    let updated = shop.catalogue.by(Writer::Explicit).update(id, change, expect).await;
    let (updated, effect) = shop.after_update(updated, |_| entry_of(shop, id)).await?;
    Ok(Written { updated, effect })
}

/// Deletes the product, then its entry and the lists that it was on.
pub async fn delete(shop: &Shop, id: ProductId, expect: &Preconditions) -> Result<(Product, Effect), CatalogueError> {
    let deleted = shop.catalogue.by(Writer::Explicit).delete(id, expect).await;
    let outdated = |product: &Product| shop.lanes.with_lists(entry_of(shop, id), Some(product.placement()), None);
    shop.after_write(deleted, outdated).await
}

fn entry_of(shop: &Shop, id: ProductId) -> Invalidation {
    Invalidation::hard().key(shop.lanes.explicit.key(id))
}
