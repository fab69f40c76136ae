#![doc = include_str!("../../../../docs/strategies/3-writethrough.md")]

use super::*;

/// The defaults of `LANES__WRITETHROUGH__…`.
pub const POLICY: &str = r#"hard_ttl = "5m", jitter = 0.1"#;
/// What other caches may do with a response.
pub const CACHING: Caching = Caching::Validated;

/// Returns the entry, which the first read or write stores.
pub async fn read(service: &ProductService, cache: &Cache<Product>, id: ProductId) -> ReadResult {
    cache.read(id, load(service, id, tags)).await
}

/// Writes to the database and stores the committed value. If storing it is no longer safe, deletes the entry.
pub async fn write(service: &ProductService, cache: &Cache<Product>, write: &ProductWrite) -> WriteResult {
    let catalogue = service.catalogue.as_writer("writethrough");
    match catalogue.update_locked(write, || cache.begin_write(write.id)).await {
        Ok((updated, lease)) => {
            let product = &updated.product;
            let effect = lease.publish(entry(product).tags(tags(Some(product)))).await.into();
            finish(service, Ok(updated), |_| Outdated::Nothing(effect)).await
        }
        Err(error) => {
            // The lease is dropped, which invalidates the entry.
            let error = error.map(|(updated, _)| updated);
            finish(service, Err(error), |_| Outdated::Nothing(WriteEffect::None)).await
        }
    }
}

/// Returns the tag of the category, because the category's name comes from another row; all other data come from the
/// locked row. An entry that says "not found" has no tag, because a client can ask for any id; the creation of the
/// product removes that entry by its key.
fn tags(product: Option<&Product>) -> Vec<Tag> {
    product.map(|product| keys::category(product.category.id.into())).into_iter().collect()
}
