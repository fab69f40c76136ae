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
//! | `lane:events` | all entries of the `events` lane | events may have been lost |
//!
//! `products-of` is a collection tag: a list cannot carry the tag of a product that was not on it yet.

use cache::{Cache, Invalidation, Key, Lane, PolicyError, Tag};

use crate::catalogue::{CategoryId, ProductId, Writer};
use crate::settings::LaneSettings;

/// The keyspace in Redis.
pub const KEYSPACE: &str = "product";

/// The lanes of the keyspace: one per strategy, and one per list.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "each field is the lane of the strategy or list that it is named after")]
pub struct Lanes {
    pub ttl: Lane,
    pub explicit: Lane,
    pub writethrough: Lane,
    pub events: Lane,
    pub swr: Lane,
    pub tags: Lane,
    pub production: Lane,
    pub featured: Lane,
    pub by_category: Lane,
}

impl Lanes {
    /// Makes the lanes. The lists live as long as the products of the strategy that shows them off.
    pub fn new(cache: &Cache, lanes: &LaneSettings) -> Result<Self, PolicyError> {
        Ok(Self {
            ttl: cache.lane("ttl", lanes.ttl.policy())?,
            explicit: cache.lane("explicit", lanes.explicit.policy())?,
            writethrough: cache.lane("writethrough", lanes.writethrough.policy())?,
            events: cache.lane("events", lanes.events.policy())?,
            swr: cache.lane("swr", lanes.swr.policy())?,
            tags: cache.lane("tags", lanes.tags.policy())?,
            production: cache.lane("production", lanes.production.policy())?,
            featured: cache.lane("featured", lanes.swr.policy())?,
            by_category: cache.lane("by-category", lanes.tags.policy())?,
        })
    }

    /// What a newly created product has to remove: "there is no such product", wherever that was remembered.
    pub fn absence_of(&self, id: ProductId) -> Invalidation {
        self.all_of(id).into_iter().fold(Invalidation::hard(), Invalidation::key)
    }

    /// The product's entry in each lane.
    pub fn all_of(&self, id: ProductId) -> [Key; 7] {
        let lanes =
            [&self.ttl, &self.explicit, &self.writethrough, &self.events, &self.swr, &self.tags, &self.production];
        lanes.map(|lane| lane.key(id))
    }

    /// The lane whose entries this writer invalidates by itself.
    pub fn of_writer(&self, writer: Writer) -> &Lane {
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

/// All entries of the `events` lane.
pub fn events_lane() -> Tag {
    Tag::new("lane", "events")
}
