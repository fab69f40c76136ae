//! Strategy 6: cache tags. Entries carry the names of what they show; a write invalidates names, not keys.
//!
//! ```text
//! product:tags:1         category:3  product:1
//! product:by-category:3  category:3  products-of:3
//!
//! rename category 3      invalidates category:3                    both entries, and every other one that shows the name
//! change product 1       invalidates product:1, products-of:3      both entries, and no other product
//! move 1 from 3 to 4     invalidates … products-of:3, products-of:4  the list it left, and the list it enters
//! ```
//!
//! Promises: as explicit invalidation, for entries that the writer has never heard of. A tag is fenced before it is
//! emptied, so a load that began before the write, and is in no tag set yet, cannot be stored. Costs: memory for the
//! tag sets, and a write that takes time in proportion to the entries it removes. What carries no tag is not found.

use cache::{Cached, GetError, Invalidation, NewEntry, Tag};

use runtime::conditions::Preconditions;

use crate::catalogue::{
    CatalogueError, Category, CategoryChange, CategoryId, Product, ProductChange, ProductId, Updated,
};
use crate::keys;
use crate::shop::{Effect, Shop, Written};

/// A hit until something that the entry shows has changed.
pub async fn read(shop: &Shop, id: ProductId) -> Result<Cached, GetError> {
    let lane = &shop.lanes.tags;
    lane.get_or_load(&lane.key(id), shop.load_product(id, shown)).await
}

/// Writes to the database, then invalidates what the write has touched.
pub async fn write(
    shop: &Shop,
    id: ProductId,
    change: &ProductChange,
    expect: &Preconditions,
) -> Result<Written, CatalogueError> {
    let updated = shop.catalogue.update(id, change, expect).await;
    let (updated, effect) = shop.after_update(updated, |updated| outdated(shop, updated)).await?;
    Ok(Written { updated, effect })
}

/// The list of a category.
pub async fn by_category(shop: &Shop, id: CategoryId) -> Result<Cached, GetError> {
    let lane = &shop.lanes.by_category;
    let catalogue = shop.catalogue.clone();
    let load = move || {
        let catalogue = catalogue.clone();
        async move {
            let Some(page) = catalogue.in_category(id).await? else {
                // Removed by its key, see `keys`.
                return Ok(NewEntry::absent());
            };
            let loaded = NewEntry::json(&page).map_err(|error| CatalogueError::Internal(error.to_string()))?;
            Ok::<_, CatalogueError>(loaded.tag(keys::category(id)).tag(keys::products_of(id)))
        }
    };
    lane.get_or_load(&lane.key(id), load).await
}

/// Changes a category, then invalidates whatever shows it.
pub async fn write_category(
    shop: &Shop,
    id: CategoryId,
    change: &CategoryChange,
    expect: &Preconditions,
) -> Result<(Category, Effect), CatalogueError> {
    let category = shop.catalogue.update_category(id, change, expect).await;
    let entry = shop.lanes.by_category.key(id);
    shop.after_write(category, |_| Invalidation::hard().key(entry).tag(keys::category(id))).await
}

/// What an entry of one product shows.
pub fn shown(product: &Product) -> Vec<Tag> {
    vec![keys::category(product.category.id.into()), keys::product(product.id.into())]
}

/// What a write touches, by tag; and the lists by key as well, because "there is no such category" carries no tag.
pub fn outdated(shop: &Shop, updated: &Updated) -> Invalidation {
    let lists = shop.lanes.lists_of([updated.previous, updated.product.placement()]);
    lists.fold(Invalidation::hard().tags(touched(updated)), Invalidation::key)
}

/// The tags of what a write touches: the product, the list it is on, and the list it was on.
pub fn touched(updated: &Updated) -> Vec<Tag> {
    let now = updated.product.placement();
    let shown = [keys::product(updated.product.id.into()), keys::products_of(now.category)];
    let moved = keys::collections(Some(updated.previous), Some(now));
    shown.into_iter().chain(moved.into_iter().filter(|tag| *tag != keys::products_of(now.category))).collect()
}
