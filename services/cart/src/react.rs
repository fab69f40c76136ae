//! Events and their effects: those of the product API, and the cart's own.
//!
//! A product has changed: [`CartEventHandler`] raises the floor below which its facts are not believed, removes the facts, and
//! then the views that show them; why in this order stands in [`crate::view`]. Events about categories have no effect:
//! no view shows a category.
//!
//! A cart has changed: [`InvalidateOnRelay`] removes its view before the stream hears of it. The cart's own writes have done so
//! before they answered; this is for psql, and for a process that was killed between COMMIT and invalidation.

use std::collections::HashSet;

use cache::{CacheClient, Invalidated, Invalidation};
use events::consumer::{EventHandler, HandlerError, Resync};
use events::contract::{CartChange, ProductChange, ProductEvent};
use events::log::LogPosition;
use events::relay::{OutboxEvent, RelayHook};
use tracing::info;

use crate::error::CartError;
use crate::facts::ProductSnapshots;
use crate::ids::ProductId;
use crate::keys::{self, Caches};
use crate::view::Views;

/// What the cart does when products change.
#[derive(Clone, Debug)]
pub struct CartEventHandler {
    cache: CacheClient,
    lanes: Caches,
    snapshots: ProductSnapshots,
}

/// What the cart does after its own changes.
#[derive(Clone, Debug)]
pub struct InvalidateOnRelay {
    cache: CacheClient,
    views: Views,
}

impl CartEventHandler {
    /// On the entries of `cache`, and the memory of products.
    pub fn new(cache: CacheClient, lanes: Caches, snapshots: ProductSnapshots) -> Self {
        Self { cache, lanes, snapshots }
    }
}

impl EventHandler for CartEventHandler {
    type Data = ProductChange;

    async fn apply(&self, events: &[ProductEvent]) -> Result<(), HandlerError> {
        for event in events {
            let about = event.change.product_id.map_or(event.change.category_id, |id| id);
            let what = if event.change.product_id.is_some() { "product" } else { "category" };
            self.cache.feed().event(event.change.kind.name(), Some(event.seq), format_args!("{what}:{about}"));
        }
        // The floor first: whoever loads facts from here on does not believe an older answer. A database that is read-only
        // for a while refuses it. The entries are removed all the same, and once more when the event is repeated.
        let heard = self.snapshots.record_events(events).await;
        if let Err(error) = &heard
            && !error.is_read_only()
        {
            return heard.map_err(unavailable);
        }
        let products: HashSet<ProductId> =
            events.iter().filter_map(|event| event.change.product_id).map(ProductId::from).collect();
        if products.is_empty() {
            return heard.map_err(unavailable);
        }
        let key = |id: &ProductId| self.lanes.product.key(*id);
        let facts = products.iter().map(key).fold(Invalidation::hard(), Invalidation::key);
        require_done(self.cache.invalidate(facts).await)?;
        // Only now the views: one that is loaded from here on does not find the old facts.
        let views = Invalidation::hard().tags(products.iter().map(|id| keys::product(*id)));
        require_done(self.cache.invalidate(views).await)?;
        heard.map_err(unavailable)
    }

    async fn resync(&self, why: Resync) -> Result<Option<LogPosition>, HandlerError> {
        info!(?why, "product events may have been missed; the keyspace is purged");
        self.snapshots.reset_versions().await.map_err(unavailable)?;
        drop_everything(&self.cache).await?;
        Ok(None)
    }
}

impl InvalidateOnRelay {
    /// On the views of `cache`.
    pub fn new(cache: CacheClient, views: Views) -> Self {
        Self { cache, views }
    }
}

impl RelayHook<CartChange> for InvalidateOnRelay {
    async fn before_append(&self, events: &[OutboxEvent<CartChange>]) -> Result<(), HandlerError> {
        let carts: HashSet<_> = events.iter().map(|committed| committed.event.change.cart_id).collect();
        require_done(self.views.invalidate_carts(carts).await)
    }

    /// Views may show lines that the database has lost.
    async fn history_changed(&self) -> Result<(), HandlerError> {
        drop_everything(&self.cache).await
    }

    async fn redis_changed(&self) -> Result<(), HandlerError> {
        drop_everything(&self.cache).await
    }
}

/// Facts and views. Twice, because the first pass meets them in any order: it may have gone by when a view is stored
/// that was made of facts it has not come to yet. In the second, no such facts are left.
async fn drop_everything(cache: &CacheClient) -> Result<(), HandlerError> {
    require_done(cache.purge().await)?;
    require_done(cache.purge().await)
}

/// The cache repeats a deferred one by itself; the events wait until it is certain.
fn require_done(invalidated: Invalidated) -> Result<(), HandlerError> {
    match invalidated {
        Invalidated::Done { .. } => Ok(()),
        Invalidated::Deferred => Err(HandlerError::Unavailable("Redis did not take the invalidation".to_owned())),
    }
}

fn unavailable(error: CartError) -> HandlerError {
    HandlerError::Unavailable(error.to_string())
}
