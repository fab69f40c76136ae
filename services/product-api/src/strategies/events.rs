#![doc = include_str!("../../../../docs/strategies/4-events.md")]

use super::*;

/// The defaults of `LANES__EVENTS__…`.
pub const POLICY: &str = r#"hard_ttl = "5m", jitter = 0.1"#;
/// What other caches may do with a response.
pub const CACHING: Caching = Caching::Validated;

/// Returns the entry until the listener (`crate::events`) receives the event of a change.
pub async fn read(service: &ProductService, cache: &Cache<Product>, id: ProductId) -> ReadResult {
    cache.read(id, load(service, id, tags)).await
}

/// Writes to the database, whose trigger records the event in the outbox. The listener deletes the entry.
pub async fn write(service: &ProductService, _: &Cache<Product>, write: &ProductWrite) -> WriteResult {
    let updated = service.catalogue.update(write).await;
    finish(service, updated, |_| Outdated::Nothing(WriteEffect::Announced)).await
}

/// The tag by which the listener removes all entries, and that of the category, because its name comes from another row.
/// "Not found" has no tag, because a client can ask for any id; the creation of the product removes that entry by its key.
fn tags(product: Option<&Product>) -> Vec<Tag> {
    let tags = |product: &Product| vec![keys::events_lane(), keys::category(product.category.id.into())];
    product.map(tags).unwrap_or_default()
}
