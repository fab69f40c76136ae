#![doc = include_str!("../../../../docs/strategies/6-tags.md")]

use super::*;

/// The defaults of `LANES__TAGS__…`.
pub const POLICY: &str = r#"hard_ttl = "5m", jitter = 0.1"#;
/// What other caches may do with a response.
pub const CACHING: Caching = Caching::Validated;

/// Returns the entry until something that it shows changes.
pub async fn read(service: &ProductService, cache: &Cache<Product>, id: ProductId) -> ReadResult {
    cache.read(id, load(service, id, tags)).await
}

/// Writes to the database, then invalidates the entries that show the product, in all caches.
pub async fn write(service: &ProductService, _: &Cache<Product>, write: &ProductWrite) -> WriteResult {
    let updated = service.catalogue.update(write).await;
    finish(service, updated, |updated| Outdated::Names(service.caches.touched(updated))).await
}

/// The tags of the product and of its category. "Not found" has no tag, because a client can ask for any id; the creation
/// of the product removes that entry by its key.
pub fn tags(product: Option<&Product>) -> Vec<Tag> {
    let tags = |product: &Product| vec![keys::category(product.category.id.into()), keys::product(product.id.into())];
    product.map(tags).unwrap_or_default()
}
