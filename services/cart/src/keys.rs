//! All keys and tags that the cart service owns.
//!
//! | key | value | invalidated when |
//! |---|---|---|
//! | `cart:product:{id}` | the data of a product | an event reports a change of the product |
//! | `cart:view:{reference}` | a cart with current prices | a client or psql writes to the cart |
//!
//! | tag | carried by | invalidated when |
//! |---|---|---|
//! | `product:{id}` | the views of the carts that hold the product | after `cart:product:{id}`, by the same event |
//!
//! Operators see the keys, so a key contains the cart's [reference](contract::cart_reference) instead of its
//! id. No entry carries the tag of a category, because no view shows one. Other names in the keyspace: `cart:events` is
//! the stream of changes of carts, and `cart:~dead-letters` holds events that could not be applied.

use cache::error::InvalidCache;
use cache::{Cache, CacheClient, Tag};
use contract::ProductId;

use crate::facts::ProductInfo;
use crate::settings::PolicySettings;
use crate::view::View;

/// The keyspace in Redis.
pub const KEYSPACE: &str = "cart";

/// The consumer group in which all processes of the cart service share the events about products.
pub const GROUP: &str = "cart";

/// The stream of events that could not be applied.
pub const DEAD_LETTERS: &str = "cart:~dead-letters";

/// The caches of the keyspace.
#[derive(Clone, Debug)]
pub struct Caches {
    /// The data of products.
    pub product: Cache<ProductInfo>,
    /// The views of carts.
    pub view: Cache<View>,
}

impl Caches {
    /// Creates the caches.
    ///
    /// # Errors
    /// Returns an error if the TTLs of a policy contradict each other.
    pub fn new(client: &CacheClient, policies: &PolicySettings) -> Result<Self, InvalidCache> {
        Ok(Self {
            product: client.cache("product", policies.product.policy())?,
            view: client.cache("view", policies.view.policy())?,
        })
    }
}

/// The tag of the views that show a product.
pub fn product(id: ProductId) -> Tag {
    Tag::new("product", id)
}
