//! Every key and every tag that the recommendation service owns.
//!
//! | key | holds |
//! |---|---|
//! | `recommendation:list:{id}` | the recommendations for a product |
//! | `recommendation:basket:{reference}` | the recommendations for a cart |
//!
//! | tag | carried by | invalidated when |
//! |---|---|---|
//! | `product:{id}` | lists of the product, lists that show it, lists that would if it were not sold out | it changes |
//! | `category:{id}` | lists that show the category's name | it changes |
//! | `products-of:{id}` | lists whose similar products are of the category | a change in it can add products |
//! | `together:{id}` | lists that use what is bought together with the product | the learned scores change |
//! | `basket:{reference}` | the list of the cart | an item is added to the cart or removed |
//!
//! This service knows a cart only by its [reference](contract::cart_reference): events carry no ids of carts.
//! `products-of` is a collection tag: a list cannot carry the tag of a product that is not in it yet. Another key in
//! the keyspace: `recommendation:~dead-letters` holds events that could not be applied.

use cache::error::InvalidCache;
use cache::{Cache, CacheClient, Tag};
use uuid::Uuid;

use crate::lists::Recommendations;
use crate::settings::PolicySettings;

/// The keyspace in Redis.
pub const KEYSPACE: &str = "recommendation";

/// The consumer group in which all replicas share the events of each stream.
pub const GROUP: &str = "recommendation";

/// The stream of events that could not be applied.
pub const DEAD_LETTERS: &str = "recommendation:~dead-letters";

/// The caches of the keyspace.
#[derive(Clone, Debug)]
pub struct Caches {
    /// Lists for products.
    pub list: Cache<Recommendations>,
    /// Lists for carts.
    pub basket: Cache<Recommendations>,
}

impl Caches {
    /// Creates the caches.
    ///
    /// # Errors
    /// Fails when the settings of a cache contradict one another.
    pub fn new(client: &CacheClient, policies: &PolicySettings) -> Result<Self, InvalidCache> {
        Ok(Self {
            list: client.cache("list", policies.list.policy())?,
            basket: client.cache("basket", policies.basket.policy())?,
        })
    }
}

/// Returns the tag of lists that depend on the product.
pub fn product(id: i64) -> Tag {
    Tag::new("product", id)
}

/// Returns the tag of lists that show the name of the category.
pub fn category(id: i64) -> Tag {
    Tag::new("category", id)
}

/// Returns the tag of lists that depend on which products of the category can be bought, and on their contents.
pub fn products_of(id: i64) -> Tag {
    Tag::new("products-of", id)
}

/// Returns the tag of lists that depend on what is bought together with the product.
pub fn together(id: i64) -> Tag {
    Tag::new("together", id)
}

/// Returns the tag of the list for a cart, by the cart's reference.
pub fn basket(reference: Uuid) -> Tag {
    Tag::new("basket", reference)
}
