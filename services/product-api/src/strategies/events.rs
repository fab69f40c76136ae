//! Strategy 4: events. The writer announces the change on `product:updates`; a listener deletes the entry.
//!
//! ```text
//! t=0 ms    write     COMMIT version 2 ─ PUBLISH product.updated ─ 200 OK
//! t<1 ms    read      hit, version 1: stale for the time of delivery
//! t≈1 ms    listener  UNLINK product:events:1
//! t=2 ms    read      miss, version 2
//! ```
//!
//! Promises: stale for the time of delivery only, as long as the listener listens; the writer knows no keys, so any
//! number of caches can react. Costs: Pub/Sub forgets who was not there. After a lost connection the listener
//! therefore drops the whole lane, and the TTL is the last resort. A writer that cannot publish deletes the entry
//! itself. The listener is `crate::events::listener`.

use cache::{FetchError, Fetched};

use crate::catalogue::{CatalogueError, Expect, ProductChange, ProductId};
use crate::events::ProductEvent;
use crate::keys;
use crate::shop::{Shop, Written};

/// A hit until the listener hears of a change.
pub async fn read(shop: &Shop, id: ProductId) -> Result<Fetched, FetchError> {
    let lane = &shop.lanes.events;
    let tags =
        |product: &crate::catalogue::Product| vec![keys::events_lane(), keys::category(product.category.id.into())];
    lane.fetch(&lane.key(id), shop.load_product(id, tags)).await
}

/// Writes to the database and announces it. The entry is the listener's business.
pub async fn write(
    shop: &Shop,
    id: ProductId,
    change: &ProductChange,
    expect: &Expect,
) -> Result<Written, CatalogueError> {
    let updated = shop.catalogue.update(id, change, expect).await?;
    let effect = shop.announce(&ProductEvent::updated(&updated, change.fields())).await;
    Ok(Written { product: updated.product, effect })
}
