//! The cached views of carts, computed from the cart's lines and the data of their products.
//!
//! A view must not show data that are older than its own load. A load reads everything after it took its lease: the
//! lines from Postgres, the data of products from their entries. An event about a product removes, in this order,
//!
//! ```text
//! 1  cart:product:{id}     the entry with the data, and the lease of a process that loads them
//! 2  tag product:{id}      a fence, then the views that carry it
//! ```
//!
//! If the load of a view began before the fence, the fence refuses the fill or the view is removed. If the load began
//! after the fence, it reads the data after step 1, so it cannot find the old ones. In the other order, or with both
//! steps at once, a load could find the old data between the fence and the removal, and nothing would remove the view.
//!
//! While it is uncertain whether all events have been applied ([`outbox::consumer::EventProgress`]), the cache is
//! bypassed, and each view requests the data from the product API. If the product API responds, the view is current.
//! Otherwise it is marked as stale.
//!
//! Data that are not in the cache are loaded into it within the view's load. They form one batch, which holds one
//! permit of the cache's bulkhead; the view's load holds none while it waits for them.

mod model;
mod price;

pub use model::{Availability, LOW_STOCK, PriceChange, Totals, View, ViewLine};

use std::time::Duration;

use cache::error::LoadError;
use cache::outcome::Bypass;
use cache::{Cache, CacheClient, Cached, Invalidated, Invalidation, NewEntry, with};
use contract::{CartId, ConsistencyToken};
use service::consistency::AppliedWrites;
use service::loads::from_database;
use uuid::Uuid;

use crate::carts::Carts;
use crate::error::CartError;
use crate::facts::{ProductSource, UNVERIFIED};
use crate::keys;

/// The reason for the bypass of a read with a token, when the events of that write have not been applied yet.
const NOT_INCLUDED: &str = "consistency-token";

/// How long such a read waits for the events before it asks the product API.
const APPLY_WAIT: Duration = Duration::from_millis(100);

/// The reader of views. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Views {
    client: CacheClient,
    cache: Cache<View>,
    carts: Carts,
    facts: ProductSource,
    applied: AppliedWrites,
}

impl Views {
    /// Creates a reader through `cache`, one of `client`.
    pub fn new(
        client: CacheClient, cache: Cache<View>, carts: Carts, facts: ProductSource, applied: AppliedWrites,
    ) -> Self {
        Self { client, cache, carts, facts, applied }
    }

    /// Returns the cart with current prices. Without the product API it shows the last known data, marked as stale. With
    /// `token`, it shows that write to a product.
    ///
    /// # Errors
    /// Returns an error if the database does not respond.
    pub async fn view(&self, id: CartId, token: Option<ConsistencyToken>) -> Result<Cached<View>, LoadError> {
        let is_included = self.applied.include(token, APPLY_WAIT).await;
        if is_included && self.facts.are_verified() {
            return self.cache.read(id.reference(), with(self, id, Self::load)).await;
        }
        // If Redis is unavailable, it is the reason: without Redis, the events cannot be verified either.
        let why = match (self.client.health().is_in_use(), is_included) {
            (false, _) => Bypass::RedisDown.as_str(),
            (true, true) => UNVERIFIED,
            (true, false) => NOT_INCLUDED,
        };
        self.cache.load_uncached(id.reference(), why, with(self, id, Self::load_past)).await
    }

    /// Removes the view of a cart after a write.
    pub async fn invalidate_cart(&self, reference: Uuid) -> Invalidated {
        self.client.invalidate(self.invalidation_of([reference])).await
    }

    /// Returns the invalidation that removes the views of carts.
    pub fn invalidation_of(&self, references: impl IntoIterator<Item = Uuid>) -> Invalidation {
        let keys = references.into_iter().map(|reference| self.cache.key(reference));
        keys.fold(Invalidation::hard(), Invalidation::key)
    }

    /// Removes the view of a cart at once, and again when an unacknowledged COMMIT can no longer take effect.
    pub async fn invalidate_in_doubt(&self, reference: Uuid, commit_bound: Duration) -> Invalidated {
        self.client.invalidate_in_doubt(Invalidation::hard().key(self.cache.key(reference)), commit_bound).await
    }

    /// Loads a view without reading anything from the cache.
    async fn load_past(&self, id: CartId) -> Result<NewEntry<View>, CartError> {
        let Some(cart) = self.carts.cart(id).await? else { return Ok(NewEntry::absent()) };
        let ids: Vec<i64> = cart.lines.iter().map(|line| line.product_id).collect();
        Ok(NewEntry::value(&View::of(&cart, &self.facts.uncached(&ids).await?)))
    }

    /// Loads a view. Everything is read after the view's lease was taken.
    async fn load(&self, id: CartId) -> Result<NewEntry<View>, CartError> {
        from_database(self.carts.pool(), self.load_lines(id)).await
    }

    async fn load_lines(&self, id: CartId) -> Result<NewEntry<View>, CartError> {
        let Some(cart) = self.carts.cart(id).await? else {
            // No event reports the creation of a cart, so the absence of a cart is not stored.
            return Ok(NewEntry::absent().do_not_store());
        };
        let ids: Vec<i64> = cart.lines.iter().map(|line| line.product_id).collect();
        let mut infos = self.facts.cached(&ids).await;
        let lacking: Vec<i64> = ids.iter().filter(|id| !infos.contains_key(id)).copied().collect();
        if !lacking.is_empty() {
            infos.extend(match self.client.health().is_in_use() {
                true => self.facts.through_cache(&lacking).await?,
                // Without Redis there is no cache to load them into.
                false => self.facts.uncached(&lacking).await?,
            });
        }
        let view = View::of(&cart, &infos);
        let loaded = NewEntry::value(&view).tags(ids.into_iter().map(|id| keys::product(id.into())));
        // A stale view is used for this response only.
        Ok(if view.stale { loaded.do_not_store() } else { loaded })
    }
}
