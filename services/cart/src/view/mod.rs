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
//! Facts that are not in the cache are not loaded within the view's load: each load holds a place in the bulkhead, and a
//! load that waits for other loads' places could wait for itself. The load says what it lacks instead, that is brought
//! into the cache, and the view is loaded anew.

mod model;
mod price;

pub use model::{Availability, FEW, PriceChange, Totals, View, ViewLine};

use std::collections::HashMap;
use std::sync::Arc;

use cache::{Cache, FetchError, Fetched, Health, Invalidated, Invalidation, Lane, Loaded};

use crate::carts::Carts;
use crate::error::CartError;
use crate::facts::{ProductFacts, Word};
use crate::ids::CartId;
use crate::keys;

/// How often facts are brought before the product API is asked directly.
const ROUNDS: usize = 2;

/// The way to views. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Views {
    cache: Cache,
    lane: Lane,
    carts: Carts,
    facts: ProductFacts,
}

/// What a load of a view does about facts that are not in the cache.
#[derive(Clone, Debug)]
enum Otherwise {
    /// It says so.
    Say,
    /// It takes those that could not be stored, which are flagged, and asks for the others.
    Take(Arc<HashMap<i64, Word>>),
}

/// Why a view was not loaded.
#[derive(Debug, thiserror::Error)]
enum ViewError {
    /// The facts of these products are not in the cache.
    #[error("the facts of {} products are not in the cache", .0.len())]
    Lacking(Vec<i64>),
    #[error(transparent)]
    Cart(#[from] CartError),
}

impl Views {
    /// Views cached in `lane`.
    pub fn new(cache: Cache, lane: Lane, carts: Carts, facts: ProductFacts) -> Self {
        Self { cache, lane, carts, facts }
    }

    /// The cart with current prices.
    ///
    /// # Errors
    /// When the database does not answer. Without the product API it shows what is known, and flags it.
    pub async fn view(&self, id: CartId) -> Result<Fetched, FetchError> {
        let mut flagged = HashMap::new();
        let mut otherwise = Otherwise::Say;
        for _ in 0..ROUNDS {
            let error = match self.load(id, otherwise.clone()).await {
                Ok(view) => return Ok(view),
                Err(error) => error,
            };
            let Some(ViewError::Lacking(lacking)) = error.load_error() else { return Err(plain(error)) };
            flagged.extend(self.facts.bring(lacking).await?);
            otherwise = Otherwise::Take(Arc::new(flagged.clone()));
        }
        self.load(id, otherwise).await.map_err(plain)
    }

    /// Removes the view of a cart that was written to.
    pub async fn forget(&self, ids: impl IntoIterator<Item = CartId>) -> Invalidated {
        let gone = ids.into_iter().fold(Invalidation::hard(), |gone, id| gone.key(self.lane.key(id)));
        self.cache.invalidate(gone).await
    }

    async fn load(&self, id: CartId, otherwise: Otherwise) -> Result<Fetched, FetchError> {
        let views = self.clone();
        let load = move || {
            let (views, otherwise) = (views.clone(), otherwise.clone());
            async move { views.compute(id, &otherwise).await }
        };
        self.lane.fetch(&self.lane.key(id), load).await
    }

    /// What a load does: everything that it reads, it reads after its lease was taken.
    async fn compute(&self, id: CartId, otherwise: &Otherwise) -> Result<Loaded, ViewError> {
        let Some(cart) = self.carts.cart(id).await? else {
            // Nothing tells of a cart's creation, so that there is none is not remembered.
            return Ok(Loaded::absent().without_storing());
        };
        let ids: Vec<i64> = cart.lines.iter().map(|line| line.product_id).collect();
        let mut words = self.facts.cached(&ids).await;
        let lacking = |words: &HashMap<i64, Word>| -> Vec<i64> {
            ids.iter().filter(|id| !words.contains_key(id)).copied().collect()
        };
        let lacks = lacking(&words);
        if !lacks.is_empty() {
            match otherwise {
                // Without Redis nothing can be brought anywhere.
                Otherwise::Say if self.cache.health() == Health::Up => return Err(ViewError::Lacking(lacks)),
                Otherwise::Say => {}
                Otherwise::Take(flagged) => {
                    words.extend(lacks.iter().filter_map(|id| Some((*id, flagged.get(id)?.clone()))));
                }
            }
            let lacks = lacking(&words);
            if !lacks.is_empty() {
                words.extend(self.facts.asked(&lacks).await?);
            }
        }
        let view = View::of(&cart, &words);
        let loaded = Loaded::json(&view).map_err(CartError::from)?;
        // Flagged, it is good for this answer only.
        let loaded = if view.stale { loaded.without_storing() } else { loaded };
        Ok(loaded.tags(ids.into_iter().map(|id| keys::product(id.into()))))
    }
}

/// The error as the edge knows it.
fn plain(error: FetchError) -> FetchError {
    match error.load_error() {
        Some(ViewError::Cart(cart)) => FetchError::Load(Arc::new(cart.clone())),
        _ => error,
    }
}
