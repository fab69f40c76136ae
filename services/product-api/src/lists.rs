//! The cached lists: the featured products, and the products of each category.

use std::collections::BTreeSet;

use cache::error::LoadError;
use cache::{Cached, NewEntry, with};
use contract::CategoryId;
use service::loads::from_database;

use crate::catalogue::{Catalogue, CatalogueError, CategoryPage, FeaturedList};
use crate::keys;
use crate::products::ProductService;

/// Returns the featured list. It waits for a load only if there is no entry, as in strategy 5. The products on the list
/// may be shown with old data, but the list of products is current: a write that adds or removes a product, or renames a
/// category, invalidates it.
pub async fn featured(service: &ProductService) -> Result<Cached<FeaturedList>, LoadError> {
    service.caches.featured.read("list", with(&service.catalogue, (), load_featured)).await
}

async fn load_featured(catalogue: &Catalogue, (): ()) -> Result<NewEntry<FeaturedList>, CatalogueError> {
    let load = async {
        let list = catalogue.featured().await?;
        let categories: BTreeSet<i64> = list.products.iter().map(|product| product.category.id).collect();
        let names = categories.into_iter().map(|category| keys::category(category.into()));
        Ok(NewEntry::value(&list).tag(keys::featured()).tags(names))
    };
    from_database(catalogue.pool(), load).await
}

/// Returns the list of a category, which tags invalidate, as in strategy 6.
pub async fn by_category(service: &ProductService, id: CategoryId) -> Result<Cached<CategoryPage>, LoadError> {
    service.caches.by_category.read(id, with(&service.catalogue, id, load_list)).await
}

async fn load_list(catalogue: &Catalogue, id: CategoryId) -> Result<NewEntry<CategoryPage>, CatalogueError> {
    let load = async {
        let page = catalogue.in_category(id).await?;
        // An absent entry carries no tag. It is removed by its key, see `keys`.
        let shown = |page| NewEntry::value(&page).tag(keys::category(id)).tag(keys::products_of(id));
        Ok(page.map_or_else(NewEntry::absent, shown))
    };
    from_database(catalogue.pool(), load).await
}
