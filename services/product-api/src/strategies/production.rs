//! Strategy 7: production. All of them together, each for what it is good at.
//!
//! | layer | what it is for |
//! |---|---|
//! | delete of the key, by the writer | no stale read after the answer to a write |
//! | tags | the same for entries that the writer does not know |
//! | the relay | the same, a moment later, for what others wrote, and for writers that were killed after COMMIT |
//! | soft TTL | hot entries are refreshed before anybody waits for them, and survive a database that is away |
//! | hard TTL with jitter | nothing lives for ever, and not everything ends at once |
//! | fail open | without Redis, reads and writes go on, at most so many at a time |
//!
//! Promises: as explicit invalidation and tags, and a read that stays fast on hot entries. While the database fails,
//! an entry past its soft TTL is still served, labelled as stale; one that was invalidated never is.

use cache::{Cached, GetError};

use super::tags;
use runtime::conditions::Preconditions;

use crate::catalogue::{CatalogueError, ProductChange, ProductId, UpdatedProduct};
use crate::products::{CacheWrite, ProductService};

/// A hit until something that the entry shows has changed; past the soft TTL, at once and refreshed behind.
pub async fn read(service: &ProductService, id: ProductId) -> Result<Cached, GetError> {
    let lane = &service.caches.production;
    lane.get_or_load(&lane.key(id), service.load_product(id, tags::shown)).await
}

/// Writes to the database, and removes the entry and whatever shows it. The others hear of it from the outbox.
pub async fn write(
    service: &ProductService,
    id: ProductId,
    change: &ProductChange,
    expect: &Preconditions,
) -> Result<CacheWrite, CatalogueError> {
    let updated = service.catalogue.update(id, change, expect).await;
    let outdated =
        |updated: &UpdatedProduct| tags::invalidation_for(service, updated).key(service.caches.production.key(id));
    let (updated, effect) = service.invalidate_after_update(updated, outdated).await?;
    Ok(CacheWrite { updated, effect })
}
