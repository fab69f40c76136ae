#![doc = include_str!("../../../../docs/strategies/1-ttl.md")]

use super::*;

/// The defaults of `LANES__TTL__…`.
pub const POLICY: &str = r#"hard_ttl = "10s", negative_ttl = "5s", jitter = 0.1"#;
/// What other caches may do with a response.
pub const CACHING: Caching = Caching::Ttl;

/// Returns the entry until its TTL ends, even after the product has changed in the database. No entry has a tag.
pub async fn read(service: &ProductService, cache: &Cache<Product>, id: ProductId) -> ReadResult {
    cache.read(id, load(service, id, |_| vec![])).await
}

/// Writes to the database. The entry stays until its TTL ends.
pub async fn write(service: &ProductService, _: &Cache<Product>, write: &ProductWrite) -> WriteResult {
    let updated = service.catalogue.update(write).await;
    finish(service, updated, |_| Outdated::Nothing(WriteEffect::None)).await
}
