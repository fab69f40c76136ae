//! The handler of cart events: it writes the changed lines, and invalidates the lists of the carts.
//!
//! The learner uses the changed lines a little later ([`crate::learning`]).

use std::collections::HashSet;

use cache::{CacheClient, Invalidation};
use contract::CartChange;
use outbox::consumer::{EventHandler, HandlerError, Position, Resync};
use outbox::log::{EventLog, LogPosition};
use service::events::{CART_EVENTS, CartEvent, require_invalidated, require_purged};

use super::refused;
use crate::baskets::BasketItems;
use crate::positions::Positions;
use crate::{keys, learning};

/// The handler of cart events.
#[derive(Clone, Debug)]
pub struct CartEventHandler {
    /// The cache whose lists are invalidated.
    pub cache: CacheClient,
    /// The contents of carts.
    pub baskets: BasketItems,
    /// The position of the service in the stream.
    pub positions: Positions,
    /// The event log of the cart service.
    pub log: EventLog,
}

impl EventHandler for CartEventHandler {
    type Data = CartChange;

    async fn apply(&self, events: &[CartEvent]) -> Result<(), HandlerError> {
        for event in events {
            let (feed, name) = (self.cache.feed(), event.change.kind.name());
            feed.event(name, Some(event.seq), format_args!("basket:{}", event.change.cart_id));
        }
        if self.baskets.apply(events).await.map_err(refused)? > 0 {
            learning::pending(true);
        }
        // Also invalidates when no line has changed: the process that changed the line may have died before its
        // invalidation.
        let carts: HashSet<_> = events.iter().map(|event| event.change.cart_id).collect();
        require_invalidated(&self.cache, Invalidation::hard().tags(carts.into_iter().map(keys::basket))).await?;
        let positions: Vec<_> = events.iter().map(|event| LogPosition { seq: event.seq, epoch: event.epoch }).collect();
        self.positions.mark_applied(CART_EVENTS.stream, &positions).await.map_err(refused)
    }

    async fn resync(&self, why: Resync) -> Result<Option<LogPosition>, HandlerError> {
        if why == Resync::OtherHistory {
            self.baskets.reset_versions().await.map_err(refused)?;
        }
        if why != Resync::RedisChanged {
            // The cart service may be unavailable. So `rebuild.rs` reads the baskets in the background, and events do
            // not wait for it.
            self.positions.set_incomplete(CART_EVENTS.stream).await.map_err(refused)?;
        }
        require_purged(&self.cache).await?;
        if why == Resync::OtherHistory {
            // Resets the position to the beginning of the log, as far as the log retains it. This is the last step: a
            // process that takes over before it finds the other history, too, and repeats all steps.
            self.positions.replace(CART_EVENTS.stream, LogPosition::default()).await.map_err(refused)?;
        }
        Ok(None)
    }

    /// Returns the position in the stream. Without a row in the database it is the beginning of the log.
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
