#![doc = include_str!("../../../../docs/strategies/7-production.md")]

use super::*;

/// The defaults of `LANES__PRODUCTION__…`.
pub const POLICY: &str =
    r#"soft_ttl = "30s", hard_ttl = "10m", jitter = 0.1, near_strict = "100ms", stale_if_error = "1h""#;
/// What other caches may do with a response.
pub const CACHING: Caching = Caching::Validated;

/// Returns the entry until something that it shows changes, from the memory of the process if it is there. After the soft
/// TTL, it is returned at once and refreshed in the background. The tags are those of strategy 6.
pub async fn read(service: &ProductService, cache: &Cache<Product>, id: ProductId) -> ReadResult {
    cache.read(id, load(service, id, tags::tags)).await
}

/// Writes to the database, then removes the entry and every other entry that shows the product, in Redis and in the memory
/// of every process. With a guard, it removes them before COMMIT as well, and nothing can be stored in between. The other
/// services learn of the change through the outbox.
pub async fn write(service: &ProductService, cache: &Cache<Product>, write: &ProductWrite) -> WriteResult {
    let outdated = |updated: &UpdatedProduct| service.caches.touched(updated).key(cache.key(write.id));
    let Some(lease) = service.guard_lease else {
        let updated = service.catalogue.update(write).await;
        return finish(service, updated, |updated| Outdated::Names(outdated(updated))).await;
    };
    match service.catalogue.update_guarded(write, outdated, |names| service.cache.guard(names, lease)).await {
        Ok((updated, guard)) => {
            service.crash.after_commit();
            let effect = guard.release().await.invalidated.into();
            finish(service, Ok(updated), |_| Outdated::Nothing(effect)).await
        }
        // A guard on a COMMIT that was not answered stays until its lease is over.
        Err(error) => {
            let error = error.map(|(updated, _)| updated);
            finish(service, Err(error), |updated| Outdated::Names(outdated(updated))).await
        }
    }
}
