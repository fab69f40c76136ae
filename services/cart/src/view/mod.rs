//! Views of carts, cached: computed from the cart's lines and the facts of their products.
//!
//! A view must not show facts that are older than its own load. What a load reads is read after its lease was taken: the
//! lines from Postgres, the facts from their entries. An event about a product removes, in this order,
//!
//! ```text
//! 1  cart:product:{id}     the entry with the facts, and the lease of whoever loads them
//! 2  tag product:{id}      a fence, then the views that carry it
//! ```
//!
//! A view whose load began before the fence is refused or removed by it. One whose load began after the fence looks for
//! the facts after step 1: it cannot find the old ones. In the other order, or both at once, it could find them between
//! the fence and the removal, and nothing would remove the view.
//!
//! While nobody knows whether events are carried out ([`events::consumer::EventProgress`]), nothing in the cache is trusted: the
//! product API is asked for each view. If it answers, the view is current; if not, it says that it is stale.
//!
//! Facts that are not in the cache are loaded into it, within the view's load: as one batch, which holds one place in the
//! cache's bulkhead beside the view's own. Here one load waits for others: if all places were held by waiting views, nothing
//! would ever end. So half of the places at most may be held by views that wait for loads; any other view asks the product
//! API itself.

mod model;
mod price;

pub use model::{Availability, LOW_STOCK, PriceChange, Totals, View, ViewLine};

use std::sync::Arc;
use std::time::Duration;

use cache::{Bypass, Cache, CacheClient, Cached, GetError, Invalidated, Invalidation, NewEntry};
use tokio::sync::Semaphore;
use uuid::Uuid;

use crate::carts::Carts;
use crate::error::CartError;
use crate::facts::{ProductSource, UNVERIFIED};
use crate::ids::CartId;
use crate::keys;

/// The way to views. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Views {
    cache: CacheClient,
    lane: Cache,
    carts: Carts,
    facts: ProductSource,
    /// Views that may wait for loads of facts.
    waiting: Arc<Semaphore>,
}

impl Views {
    /// Views cached in `lane`, where `max_loads` loads may be under way at once.
    pub fn new(cache: CacheClient, lane: Cache, carts: Carts, facts: ProductSource, max_loads: usize) -> Self {
        Self { cache, lane, carts, facts, waiting: Arc::new(Semaphore::new(max_loads / 2)) }
    }

    /// The cart with current prices.
    ///
    /// # Errors
    /// When the database does not answer. Without the product API it shows what is known, and flags it.
    pub async fn view(&self, id: CartId) -> Result<Cached, GetError> {
        let (views, key) = (self.clone(), self.lane.key(id.reference()));
        if self.facts.are_verified() {
            let load = move || {
                let views = views.clone();
                async move { views.load(id).await }
            };
            return self.lane.get_or_load(&key, load).await;
        }
        let load = move || {
            let views = views.clone();
            async move { views.load_past(id).await }
        };
        // Where Redis is away, that is the reason, also of the events.
        let why = if self.cache.health().is_in_use() { UNVERIFIED } else { Bypass::RedisDown.as_str() };
        self.lane.load_uncached(&key, why, load).await
    }

    /// Removes the views of carts that were written to, by the references of the carts.
    pub async fn invalidate_carts(&self, references: impl IntoIterator<Item = Uuid>) -> Invalidated {
        let keys = references.into_iter().map(|reference| self.lane.key(reference));
        let gone = keys.fold(Invalidation::hard(), Invalidation::key);
        self.cache.invalidate(gone).await
    }

    /// Removes the view of a cart at once, and again when a COMMIT that was not answered can no longer take effect.
    pub async fn invalidate_in_doubt(&self, reference: Uuid, commit_bound: Duration) -> Invalidated {
        self.cache.invalidate_in_doubt(Invalidation::hard().key(self.lane.key(reference)), commit_bound).await
    }

    /// Nothing of it comes from the cache.
    async fn load_past(&self, id: CartId) -> Result<NewEntry, CartError> {
        let Some(cart) = self.carts.cart(id).await? else { return Ok(NewEntry::absent()) };
        let ids: Vec<i64> = cart.lines.iter().map(|line| line.product_id).collect();
        Ok(NewEntry::json(&View::of(&cart, &self.facts.uncached(&ids).await?))?)
    }

    /// Everything that it reads, it reads after the view's lease was taken.
    async fn load(&self, id: CartId) -> Result<NewEntry, CartError> {
        let Some(cart) = self.carts.cart(id).await? else {
            // Nothing tells of a cart's creation, so that there is none is not remembered.
            return Ok(NewEntry::absent().do_not_store());
        };
        let ids: Vec<i64> = cart.lines.iter().map(|line| line.product_id).collect();
        let mut words = self.facts.cached(&ids).await;
        let lacking: Vec<i64> = ids.iter().filter(|id| !words.contains_key(id)).copied().collect();
        if !lacking.is_empty() {
            words.extend(match self.waiting.try_acquire() {
                // Without Redis there is nothing to load them into.
                Ok(_turn) if self.cache.health().is_in_use() => self.facts.through_cache(&lacking).await?,
                Ok(_) | Err(_) => self.facts.uncached(&lacking).await?,
            });
        }
        let view = View::of(&cart, &words);
        let loaded = NewEntry::json(&view)?.tags(ids.into_iter().map(|id| keys::product(id.into())));
        // Flagged, it is good for this answer only.
        Ok(if view.stale { loaded.do_not_store() } else { loaded })
    }
}
