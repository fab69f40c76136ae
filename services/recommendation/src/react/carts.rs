//! A cart has changed: its line is written, and what is recommended for the cart is removed.
//!
//! What is bought together is learned from it a little later ([`crate::learning`]).

use std::collections::HashSet;

use cache::{CacheClient, Invalidation};
use events::CART_EVENTS;
use events::consumer::{EventHandler, HandlerError, Position, Resync};
use events::contract::{CartChange, CartChangeKind, CartEvent};
use events::log::{EventLog, LogPosition};
use tracing::info;

use super::{refused, require_done};
use crate::baskets::BasketItems;
use crate::positions::Positions;
use crate::{keys, learning};

/// What the recommendation does when carts change.
#[derive(Clone, Debug)]
pub struct CartEventHandler {
    /// Where lists are removed.
    pub cache: CacheClient,
    /// What lies in carts.
    pub baskets: BasketItems,
    /// How far that is.
    pub positions: Positions,
    /// The cart's log of events.
    pub log: EventLog,
}

impl EventHandler for CartEventHandler {
    type Data = CartChange;

    async fn apply(&self, events: &[CartEvent]) -> Result<(), HandlerError> {
        for event in events {
            let name = match event.change.kind {
                CartChangeKind::ItemAdded => "cart.item_added",
                CartChangeKind::ItemRemoved => "cart.item_removed",
            };
            self.cache.feed().event(name, Some(event.seq), format_args!("basket:{}", event.change.cart_id));
        }
        if self.baskets.apply(events).await.map_err(refused)? > 0 {
            learning::pending(true);
        }
        // Also where nothing has changed: the one who changed it may have died before it came to this.
        let carts: HashSet<_> = events.iter().map(|event| event.change.cart_id).collect();
        require_done(self.cache.invalidate(Invalidation::hard().tags(carts.into_iter().map(keys::basket))).await)
    }

    async fn resync(&self, why: Resync) -> Result<Option<LogPosition>, HandlerError> {
        info!(?why, "cart events may have been missed; all baskets are read from the cart service");
        if why == Resync::OtherHistory {
            self.baskets.forget_versions().await.map_err(refused)?;
            // From its beginning, as far as it is kept.
            self.positions.replace(CART_EVENTS.stream, LogPosition::default()).await.map_err(refused)?;
        }
        if why != Resync::RedisChanged {
            // The cart may be away: the baskets are read beside the events (`rebuild.rs`), which need not wait for that.
            self.positions.set_incomplete(CART_EVENTS.stream).await.map_err(refused)?;
        }
        require_done(self.cache.purge().await)?;
        Ok(None)
    }

    /// Baskets that were never begun begin with the first event of all.
    async fn position(&self) -> Result<Option<Position>, HandlerError> {
        let position = self.positions.of(CART_EVENTS.stream).await.map_err(refused)?;
        Ok(Some(position.unwrap_or_default()))
    }

    async fn skip(&self, until: u64) -> Result<(), HandlerError> {
        self.positions.begin(CART_EVENTS.stream, until.into()).await.map_err(refused)
    }

    async fn skip_dead_letters(&self, numbers: &[u64]) -> Result<(), HandlerError> {
        self.positions.skip_dead_letters(CART_EVENTS.stream, numbers).await.map_err(refused)
    }
}
