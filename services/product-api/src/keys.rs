//! Every key and every tag that the product API owns, in one place.
//!
//! | key | holds |
//! |---|---|
//! | `product:{strategy}:{id}` | one product, one entry per strategy, so that they can be compared lane by lane |
//! | `product:featured:list` | the featured list |
//! | `product:by-category:{id}` | the list of a category |
//!
//! | tag | carried by | invalidated when |
//! |---|---|---|
//! | `category:{id}` | whatever shows the category's name | the category changes |
//! | `product:{id}` | entries of `tags` and `production` that show the product | the product changes |
//! | `products-of:{id}` | the list of the category | a product in it changes, enters or leaves |
//! | `products:featured` | the featured list | a product enters or leaves it |
//! | `lane:events` | all entries of the `events` lane | events may have been lost |
//!
//! An entry that says "not found" carries no tag, because a client can ask for any id. It is removed by its key: a product
//! by whoever creates it, a list by whoever changes the category or puts a product into it; and both by the relay.
//!
//! `products-of` and `products:featured` are collection tags: a list cannot carry the tag of a product that was not on it
//! yet. Every write through this API invalidates the collections that its product has entered or left before it is answered,
//! whatever its strategy does to the product's own entry; the relay repeats it, and does it for everybody else.

use std::time::Duration;

use cache::{Cache, CacheClient, Invalidation, Key, PolicyError, Tag};

use crate::catalogue::{CategoryId, ListMembership, ProductId, UpdatedProduct, Writer};
use crate::settings::PolicySettings;

/// The keyspace in Redis.
pub const KEYSPACE: &str = "product";

/// The lanes of the keyspace: one per strategy, and one per list.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "each field is the lane of the strategy or list that it is named after")]
pub struct Caches {
    pub ttl: Cache,
    pub explicit: Cache,
    pub writethrough: Cache,
    pub events: Cache,
    pub swr: Cache,
    pub tags: Cache,
    pub production: Cache,
    pub featured: Cache,
    pub by_category: Cache,
}

impl Caches {
    /// Makes the lanes. The lists live as long as the products of the strategy that shows them off.
    pub fn new(cache: &CacheClient, lanes: &PolicySettings, commit_bound: Duration) -> Result<Self, PolicyError> {
        Ok(Self {
            ttl: cache.cache("ttl", lanes.ttl.policy())?,
            explicit: cache.cache("explicit", lanes.explicit.policy())?,
            writethrough: cache.cache("writethrough", lanes.writethrough.policy().commit_bound(commit_bound))?,
            events: cache.cache("events", lanes.events.policy())?,
            swr: cache.cache("swr", lanes.swr.policy())?,
            tags: cache.cache("tags", lanes.tags.policy())?,
            production: cache.cache("production", lanes.production.policy())?,
            featured: cache.cache("featured", lanes.swr.policy())?,
            by_category: cache.cache("by-category", lanes.tags.policy())?,
        })
    }

    /// What a newly created product has to remove: "there is no such product", wherever that was remembered.
    pub fn all_entries_invalidation(&self, id: ProductId) -> Invalidation {
        self.keys_of(id).into_iter().fold(Invalidation::hard(), Invalidation::key)
    }

    /// The product's entry in each lane.
    pub fn keys_of(&self, id: ProductId) -> [Key; 7] {
        let lanes =
            [&self.ttl, &self.explicit, &self.writethrough, &self.events, &self.swr, &self.tags, &self.production];
        lanes.map(|lane| lane.key(id))
    }

    /// The lists of the categories in which a product was or is: "there is no such category" carries no tag.
    pub fn lists_of(&self, placements: impl IntoIterator<Item = ListMembership>) -> impl Iterator<Item = Key> {
        placements.into_iter().map(|placement| self.by_category.key(placement.category))
    }

    /// `gone`, and with it the lists that a product enters or leaves between these places.
    pub fn with_lists(
        &self,
        gone: Invalidation,
        before: Option<ListMembership>,
        after: Option<ListMembership>,
    ) -> Invalidation {
        let gone = gone.tags(collections(before, after));
        self.lists_of([before, after].into_iter().flatten()).fold(gone, Invalidation::key)
    }

    /// `gone`, and with it the lists that a change of a product makes it enter or leave.
    pub fn with_lists_of(&self, gone: Invalidation, updated: &UpdatedProduct) -> Invalidation {
        self.with_lists(gone, Some(updated.previous), Some(updated.product.list_membership()))
    }

    /// The lane whose entries this writer invalidates by itself.
    pub fn cache_of_writer(&self, writer: Writer) -> &Cache {
        match writer {
            Writer::Explicit => &self.explicit,
            Writer::Writethrough => &self.writethrough,
        }
    }
}

/// The facts of a category: its name, as products and lists show it.
pub fn category(id: CategoryId) -> Tag {
    Tag::new("category", id)
}

/// The facts of a product.
pub fn product(id: ProductId) -> Tag {
    Tag::new("product", id)
}

/// Which products a category has, and what they look like in its list.
pub fn products_of(id: CategoryId) -> Tag {
    Tag::new("products-of", id)
}

/// Which products are featured.
pub fn featured() -> Tag {
    Tag::new("products", "featured")
}

/// The collections that a product entered or left: `before` and `after` say where it was and is, if it was or is there.
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

/// All entries of the `events` lane.
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
