//! Strategy 4: events. The relay publishes the change on `product:updates`, and a listener deletes the entry.
//!
//! ```text
//! t=0 ms    write     COMMIT version 2 and its outbox row ─ 200 OK
//! t≈1 ms    read      hit, version 1: stale for the time of delivery
//! t≈3 ms    relay     XADD product:events ─ PUBLISH product:updates
//! t≈4 ms    listener  UNLINK product:events:1
//! t=5 ms    read      miss, version 2
//! ```
//!
//! Guarantee: while the listener is subscribed, an entry is stale only until its event is delivered. This includes
//! writes made directly in psql. The writer knows no keys, so any number of caches can handle the event. Cost: Pub/Sub
//! does not deliver a message to a subscriber that is disconnected. After a lost connection the listener therefore
//! invalidates its whole cache, and the TTL bounds the staleness in every case. A service that needs every event reads
//! the stream, as the other services do. The listener is `crate::events::listener`, the relay `outbox::relay`.

use cache::Cached;
use cache::error::LoadError;
use contract::ProductId;

use service::conditions::Preconditions;

use crate::catalogue::{CatalogueError, Product, ProductChange};
use crate::keys;
use crate::products::{CacheWrite, ProductService, WriteEffect};

/// Returns the entry until the listener receives the event of a change.
pub async fn read(service: &ProductService, id: ProductId) -> Result<Cached<Product>, LoadError> {
    let tags = |product: &Product| vec![keys::events_lane(), keys::category(product.category.id.into())];
    service.caches.events.read(id, service.load_product(id, tags)).await
}

/// Writes to the database, whose trigger records the event in the outbox. The listener deletes the entry.
pub async fn write(
    service: &ProductService, id: ProductId, change: &ProductChange, expect: &Preconditions,
) -> Result<CacheWrite, CatalogueError> {
    let updated = service.acknowledge_uncached(service.catalogue.update(id, change, expect).await).await?;
    Ok(CacheWrite { updated, effect: WriteEffect::Announced })
}
