//! All keys and tags that the product API owns.
//!
//! | key | value |
//! |---|---|
//! | `product:{strategy}:{id}` | one product; one entry per strategy, so that the strategies can be compared |
//! | `product:featured:list` | the featured list |
//! | `product:by-category:{id}` | the list of a category |
//!
//! | tag | carried by | invalidated when |
//! |---|---|---|
//! | `category:{id}` | entries that show the category's name | the category changes |
//! | `product:{id}` | entries of `tags` and `production` that show the product | the product changes |
//! | `products-of:{id}` | the list of the category | a product in it changes, enters or leaves |
//! | `products:featured` | the featured list | a product enters or leaves it |
//! | `lane:events` | all entries of the `events` cache | events may have been lost |
//!
//! An entry that says "not found" carries no tag, because a client can ask for any id. It is removed by its key: for a
//! product, by the writer that creates it; for the list of a category, by a writer that changes the category or puts a
//! product into it. The relay removes both, too.
//!
//! `products-of` and `products:featured` are collection tags: a list cannot carry the tag of a product that was not on
//! it yet. Before its response, every write through this API invalidates the collections that its product has entered
//! or left, with every strategy. The relay repeats this invalidation, and also makes it for all other writers.

use std::time::Duration;

use cache::error::InvalidCache;
use cache::{Cache, CacheClient, Invalidation, Key, Tag};
use contract::{CategoryId, ProductId};

use crate::catalogue::{CategoryPage, FeaturedList, ListMembership, Product, UpdatedProduct};
use crate::settings::PolicySettings;

/// The keyspace in Redis.
pub const KEYSPACE: &str = "product";

/// The caches of the keyspace.
#[derive(Clone, Debug)]
pub struct Caches {
    /// One per strategy: the cache of `strategy` is `products[strategy as usize]`.
    pub products: Vec<Cache<Product>>,
    /// The featured list.
    pub featured: Cache<FeaturedList>,
    /// The lists of the categories.
    pub by_category: Cache<CategoryPage>,
}

impl Caches {
    /// Creates the caches. A list has the TTLs of the strategy that it demonstrates.
    pub fn new(client: &CacheClient, policies: &PolicySettings, commit_bound: Duration) -> Result<Self, InvalidCache> {
        let products =
            policies.each().map(|(name, policy)| client.cache(name, policy.policy().commit_bound(commit_bound)));
        Ok(Self {
            products: products.into_iter().collect::<Result<_, _>>()?,
            featured: client.cache("featured", policies.swr.policy())?,
            by_category: client.cache("by-category", policies.tags.policy())?,
        })
    }

    /// Returns the invalidation for a new product: its entries that say "there is no such product", in every cache.
    pub fn all_entries_invalidation(&self, id: ProductId) -> Invalidation {
        self.keys_of(id).fold(Invalidation::hard(), Invalidation::key)
    }

    /// Returns the keys of the product's entries, one per strategy.
    pub fn keys_of(&self, id: ProductId) -> impl Iterator<Item = Key> {
        self.products.iter().map(move |cache| cache.key(id))
    }

    /// Returns the keys of the lists of these categories, because an entry that says "there is no such category"
    /// carries no tag.
    pub fn lists_of(&self, placements: impl IntoIterator<Item = ListMembership>) -> impl Iterator<Item = Key> {
        placements.into_iter().map(|placement| self.by_category.key(placement.category))
    }

    /// Adds to `gone` the lists that a product enters or leaves between `before` and `after`.
    pub fn with_lists(
        &self, gone: Invalidation, before: Option<ListMembership>, after: Option<ListMembership>,
    ) -> Invalidation {
        let gone = gone.tags(collections(before, after));
        self.lists_of([before, after].into_iter().flatten()).fold(gone, Invalidation::key)
    }

    /// Returns the invalidation of everything that a change outdates: the entries with the product's tag, the list that
    /// the product is on, and the list that it was on. The lists are also invalidated by key, because an entry that
    /// says "there is no such category" carries no tag.
    pub fn touched(&self, updated: &UpdatedProduct) -> Invalidation {
        let (before, now) = (updated.previous, updated.product.list_membership());
        let list = products_of(now.category);
        let moved = collections(Some(before), Some(now)).into_iter().filter(|tag| *tag != list);
        let tags = Invalidation::hard().tag(product(updated.product.id.into())).tag(list.clone()).tags(moved);
        self.lists_of([before, now]).fold(tags, Invalidation::key)
    }
}

/// The tag of entries that show the category's name.
pub fn category(id: CategoryId) -> Tag {
    Tag::new("category", id)
}

/// The tag of entries that show the product.
pub fn product(id: ProductId) -> Tag {
    Tag::new("product", id)
}

/// The tag of the list of a category: which products it has, and what the list shows of them.
pub fn products_of(id: CategoryId) -> Tag {
    Tag::new("products-of", id)
}

/// The tag of the featured list.
pub fn featured() -> Tag {
    Tag::new("products", "featured")
}

/// Returns the tags of the collections that a product has entered or left. `before` and `after` say which lists it was
/// and is on; `None` means that the product does not exist.
pub fn collections(before: Option<ListMembership>, after: Option<ListMembership>) -> Vec<Tag> {
    let category = |placement: Option<ListMembership>| placement.map(|placement| placement.category);
    let is_featured = |placement: Option<ListMembership>| placement.is_some_and(|placement| placement.featured);
    let mut tags = Vec::new();
    if category(before) != category(after) {
        tags.extend([before, after].into_iter().flatten().map(|placement| products_of(placement.category)));
    }
    if is_featured(before) != is_featured(after) {
        tags.push(featured());
    }
    tags
}

/// The tag of all entries of the `events` cache.
pub fn events_lane() -> Tag {
    Tag::new("lane", "events")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn collections_are_those_that_a_product_enters_or_leaves() {
        let at = |category: i64, featured| Some(ListMembership { category: category.into(), featured });
        let tags = |before, after| collections(before, after).iter().map(ToString::to_string).collect::<Vec<_>>();
        for (before, after, expected) in [
            (at(1, false), at(1, false), vec![]),
            (at(1, true), at(1, true), vec![]),
            (None, at(1, false), vec!["products-of:1"]),
            (None, at(1, true), vec!["products-of:1", "products:featured"]),
            (at(1, true), None, vec!["products-of:1", "products:featured"]),
            (at(1, false), at(2, false), vec!["products-of:1", "products-of:2"]),
            (at(1, false), at(1, true), vec!["products:featured"]),
            (at(1, true), at(2, false), vec!["products-of:1", "products-of:2", "products:featured"]),
        ] {
            assert_eq!(tags(before, after), expected, "{before:?} {after:?}");
        }
    }
}
