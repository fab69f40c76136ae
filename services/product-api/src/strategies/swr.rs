#![doc = include_str!("../../../../docs/strategies/5-swr.md")]

use super::*;

/// The defaults of `LANES__SWR__…`.
pub const POLICY: &str = r#"soft_ttl = "5s", hard_ttl = "60s", negative_ttl = "5s""#;
/// What other caches may do with a response.
pub const CACHING: Caching = Caching::StaleWhileRevalidate;

/// Returns the entry without waiting, whether it is fresh or stale. Waits for a load only if there is no entry. No entry
/// has a tag.
pub async fn read(service: &ProductService, cache: &Cache<Product>, id: ProductId) -> ReadResult {
    cache.read(id, load(service, id, |_| vec![])).await
}

/// Writes to the database. The entry stays until its soft TTL ends.
pub async fn write(service: &ProductService, _: &Cache<Product>, write: &ProductWrite) -> WriteResult {
    let updated = service.catalogue.update(write).await;
    finish(service, updated, |_| Outdated::Nothing(WriteEffect::None)).await
}
