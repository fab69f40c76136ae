//! Changes of categories.

use cache::Invalidation;
use contract::CategoryId;
use service::caching::Preconditions;

use crate::catalogue::{CatalogueError, Category, CategoryChange, Committed};
use crate::keys;
use crate::products::ProductService;
use crate::strategies::WriteEffect;

/// Changes a category, then invalidates the entries that show it, in all caches.
pub async fn write(
    service: &ProductService, id: CategoryId, change: &CategoryChange, expect: &Preconditions,
) -> Result<(Committed<Category>, WriteEffect), CatalogueError> {
    let category = service.catalogue.update_category(id, change, expect).await;
    let entry = service.caches.by_category.key(id);
    service.invalidate_after_write(category, |_| Invalidation::hard().key(entry).tag(keys::category(id))).await
}
