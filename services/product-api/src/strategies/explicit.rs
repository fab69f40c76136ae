#![doc = include_str!("../../../../docs/strategies/2-explicit.md")]

use super::*;

/// The defaults of `LANES__EXPLICIT__…`.
pub const POLICY: &str = r#"hard_ttl = "5m", jitter = 0.1"#;
/// What other caches may do with a response.
pub const CACHING: Caching = Caching::Validated;

/// Returns the entry until a write through this strategy deletes it.
pub async fn read(service: &ProductService, cache: &Cache<Product>, id: ProductId) -> ReadResult {
    cache.read(id, load(service, id, tags)).await
}

/// Writes to the database, then deletes the entry. The order matters: if the entry were deleted first, a read before the
/// COMMIT would store the old value again.
pub async fn write(service: &ProductService, cache: &Cache<Product>, write: &ProductWrite) -> WriteResult {
    let updated = service.catalogue.as_writer("explicit").update(write).await;
    finish(service, updated, |_| Outdated::EntryIn(cache)).await
}

/// The tag of the category, because its name comes from another row. "Not found" has no tag, because a client can ask for
/// any id; the creation of the product removes that entry by its key.
fn tags(product: Option<&Product>) -> Vec<Tag> {
    product.map(|product| keys::category(product.category.id.into())).into_iter().collect()
}
