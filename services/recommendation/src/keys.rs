//! Every key and every tag that the recommendation owns, in one place.
//!
//! | key | holds |
//! |---|---|
//! | `recommendation:list:{id}` | what is recommended beside a product |
//! | `recommendation:basket:{reference}` | what is recommended for a cart |
//!
//! | tag | carried by | invalidated when |
//! |---|---|---|
//! | `product:{id}` | lists of the product, lists that show it, lists that would if it could be bought | it changes |
//! | `category:{id}` | lists that show the category's name | it changes |
//! | `products-of:{id}` | lists whose similar products are of the category | a change in it can let others in |
//! | `together:{id}` | lists that use what is bought together with the product | something else was learned |
//! | `basket:{reference}` | the list of the cart | something is put into the cart or taken out |
//!
//! A cart's [reference](events::contract::cart_reference) is all that this service knows of it: events carry no ids of carts.
//! `products-of` is a collection tag: a list cannot carry the tag of a product that is not on it yet. Other names in the
//! keyspace: `recommendation:~dead-letters` holds events that could not be carried out.

use cache::{Cache, CacheClient, PolicyError, Tag};
use uuid::Uuid;

use crate::settings::PolicySettings;

/// The keyspace in Redis.
pub const KEYSPACE: &str = "recommendation";

/// The consumer group in which all replicas share the events of each stream.
pub const GROUP: &str = "recommendation";

/// The stream of events that could not be carried out.
pub const DEAD_LETTERS: &str = "recommendation:~dead-letters";

/// The lanes of the keyspace.
#[derive(Clone, Debug)]
pub struct Caches {
    /// Lists beside products.
    pub list: Cache,
    /// Lists for carts.
    pub basket: Cache,
}

impl Caches {
    /// Makes the lanes.
    ///
    /// # Errors
    /// When a lifetime contradicts itself.
    pub fn new(cache: &CacheClient, lanes: &PolicySettings) -> Result<Self, PolicyError> {
        Ok(Self {
            list: cache.cache("list", lanes.list.policy())?,
            basket: cache.cache("basket", lanes.basket.policy())?,
        })
    }
}

/// The facts of a product.
pub fn product(id: i64) -> Tag {
    Tag::new("product", id)
}

/// The name of a category.
pub fn category(id: i64) -> Tag {
    Tag::new("category", id)
}

/// Which products of a category can be bought, and what they are like.
pub fn products_of(id: i64) -> Tag {
    Tag::new("products-of", id)
}

/// What is bought together with a product.
pub fn together(id: i64) -> Tag {
    Tag::new("together", id)
}

/// What lies in a cart, by the cart's reference.
pub fn basket(reference: Uuid) -> Tag {
    Tag::new("basket", reference)
}
