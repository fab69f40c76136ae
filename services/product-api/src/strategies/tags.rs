//! Strategy 6: cache tags. Entries carry the names of what they show, and a write invalidates by name instead of by
//! key.
//!
//! ```text
//! product:tags:1         category:3  product:1
//! product:by-category:3  category:3  products-of:3
//!
//! rename category 3      invalidates category:3                    both entries, and all others that show the name
//! change product 1       invalidates product:1, products-of:3      both entries, and no other product
//! move 1 from 3 to 4     invalidates … products-of:3, products-of:4  the list it left, and the list it enters
//! ```
//!
//! Guarantee: that of explicit invalidation, and for entries that the writer does not know. A tag is fenced before its
//! tag set is emptied. A load that began before the write is in no tag set yet, and the fence refuses its fill. Cost:
//! memory for the tag sets, and a write whose time is proportional to the number of entries that it removes. An entry
//! without the tag is not removed.

use cache::error::LoadError;
use cache::{Cached, Invalidation, NewEntry, Tag, with};
use contract::{CategoryId, ProductId};

use service::conditions::Preconditions;

use crate::catalogue::{
    Catalogue, CatalogueError, Category, CategoryChange, CategoryPage, Product, ProductChange, UpdatedProduct,
};
use crate::keys;
use crate::products::{CacheWrite, ProductService, WriteEffect};

/// Returns the entry until something that it shows changes.
pub async fn read(service: &ProductService, id: ProductId) -> Result<Cached<Product>, LoadError> {
    service.caches.tags.read(id, service.load_product(id, shown)).await
}

/// Writes to the database, then invalidates the entries that show the product.
pub async fn write(
    service: &ProductService, id: ProductId, change: &ProductChange, expect: &Preconditions,
) -> Result<CacheWrite, CatalogueError> {
    let updated = service.catalogue.update(id, change, expect).await;
    let (updated, effect) =
        service.invalidate_after_update(updated, |updated| invalidation_for(service, updated)).await?;
    Ok(CacheWrite { updated, effect })
}

/// Returns the list of a category.
pub async fn by_category(service: &ProductService, id: CategoryId) -> Result<Cached<CategoryPage>, LoadError> {
    service.caches.by_category.read(id, with(&service.catalogue, id, load_list)).await
}

async fn load_list(catalogue: &Catalogue, id: CategoryId) -> Result<NewEntry<CategoryPage>, CatalogueError> {
    let page = catalogue.in_category(id).await?;
    // An absent entry carries no tag. It is removed by its key, see `keys`.
    let shown = |page| NewEntry::value(&page).tag(keys::category(id)).tag(keys::products_of(id));
    Ok(page.map_or_else(NewEntry::absent, shown))
}

/// Changes a category, then invalidates the entries that show it.
pub async fn write_category(
    service: &ProductService, id: CategoryId, change: &CategoryChange, expect: &Preconditions,
) -> Result<(Category, WriteEffect), CatalogueError> {
    let category = service.catalogue.update_category(id, change, expect).await;
    let entry = service.caches.by_category.key(id);
    service.invalidate_after_write(category, |_| Invalidation::hard().key(entry).tag(keys::category(id))).await
}

/// Returns the tags of a product's entry: its category and itself.
pub fn shown(product: &Product) -> Vec<Tag> {
    vec![keys::category(product.category.id.into()), keys::product(product.id.into())]
}

/// Returns the invalidation for a write: its tags, and the lists by key, because "there is no such category" carries no
/// tag.
pub fn invalidation_for(service: &ProductService, updated: &UpdatedProduct) -> Invalidation {
    let lists = service.caches.lists_of([updated.previous, updated.product.list_membership()]);
    lists.fold(Invalidation::hard().tags(touched(updated)), Invalidation::key)
}

/// Returns the tags that a write invalidates: the product, the list that it is on, and the list that it was on.
pub fn touched(updated: &UpdatedProduct) -> Vec<Tag> {
    let now = updated.product.list_membership();
    let shown = [keys::product(updated.product.id.into()), keys::products_of(now.category)];
    let moved = keys::collections(Some(updated.previous), Some(now));
    shown.into_iter().chain(moved.into_iter().filter(|tag| *tag != keys::products_of(now.category))).collect()
}
