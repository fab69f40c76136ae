//! Strategy 4: events. The change is announced on `product:updates`; a listener deletes the entry.
//!
//! ```text
//! t=0 ms    write     COMMIT version 2 and its outbox row ─ 200 OK
//! t≈1 ms    read      hit, version 1: stale for the time of delivery
//! t≈3 ms    relay     XADD product:events ─ PUBLISH product:updates
//! t≈4 ms    listener  UNLINK product:events:1
//! t=5 ms    read      miss, version 2
//! ```
//!
//! Promises: stale for the time of delivery only, as long as the listener listens, and whoever has written, psql too; the
//! writer knows no keys, so any number of caches can react. Costs: Pub/Sub forgets who was not there. After a lost
//! connection the listener therefore drops the whole lane, and the TTL is the last resort. Who cannot live with that reads
//! the stream, as the other services do. The listener is `crate::events::listener`, the relay `events::relay`.

use cache::{Cached, GetError};

use runtime::conditions::Preconditions;

use crate::catalogue::{CatalogueError, ProductChange, ProductId};
use crate::keys;
use crate::products::{CacheWrite, ProductService, WriteEffect};

/// A hit until the listener hears of a change.
pub async fn read(service: &ProductService, id: ProductId) -> Result<Cached, GetError> {
    let lane = &service.caches.events;
    let tags =
        |product: &crate::catalogue::Product| vec![keys::events_lane(), keys::category(product.category.id.into())];
    lane.get_or_load(&lane.key(id), service.load_product(id, tags)).await
}

/// Writes to the database, which announces it. The entry is the listener's business.
pub async fn write(
    service: &ProductService,
    id: ProductId,
    change: &ProductChange,
    expect: &Preconditions,
) -> Result<CacheWrite, CatalogueError> {
    let updated = service.acknowledge_uncached(service.catalogue.update(id, change, expect).await).await?;
    Ok(CacheWrite { updated, effect: WriteEffect::Announced })
}
