//! Every key and every tag that the cart owns, in one place.
//!
//! | key | holds | invalidated when |
//! |---|---|---|
//! | `cart:product:{id}` | what is known of a product | an event tells of a change of the product |
//! | `cart:view:{reference}` | a cart with current prices | a client or psql writes to the cart |
//!
//! | tag | carried by | invalidated when |
//! |---|---|---|
//! | `product:{id}` | the views of the carts that hold the product | after `cart:product:{id}`, by the same event |
//!
//! A key is shown to operators, so it has the cart's [reference](events::contract::cart_reference) and not its id.
//! Nothing carries the tag of a category: no view shows one. Other names in the keyspace: `cart:events` is the stream
//! of what happens to carts, `cart:~dead-letters` holds events that could not be carried out.

use cache::{Cache, CacheClient, PolicyError, Tag};

use crate::ids::ProductId;
use crate::settings::PolicySettings;

/// The keyspace in Redis.
pub const KEYSPACE: &str = "cart";

/// The consumer group in which all carts share the events about products.
pub const GROUP: &str = "cart";

/// The stream of events that could not be carried out.
pub const DEAD_LETTERS: &str = "cart:~dead-letters";

/// The lanes of the keyspace.
#[derive(Clone, Debug)]
pub struct Caches {
    /// Facts of products.
    pub product: Cache,
    /// Views of carts.
    pub view: Cache,
}

impl Caches {
    /// Makes the lanes.
    ///
    /// # Errors
    /// When a lifetime contradicts itself.
    pub fn new(cache: &CacheClient, lanes: &PolicySettings) -> Result<Self, PolicyError> {
        Ok(Self {
            product: cache.cache("product", lanes.product.policy())?,
            view: cache.cache("view", lanes.view.policy())?,
        })
    }
}

/// The tag of the views that show a product.
pub fn product(id: ProductId) -> Tag {
    Tag::new("product", id)
}
