//! The effects of events: those of the product API, and the cart's own.
//!
//! When a product changes, [`CartEventHandler`] raises the minimum version of its data, removes the cached data, and
//! then removes the views that show them. [`crate::view`] explains this order. Events about categories have no effect,
//! because no view shows a category.
//!
//! When a cart changes, [`InvalidateOnRelay`] removes its view before the relay appends the event to the stream. The
//! service's own writes have done this before their response. The hook covers writes made in psql, and a process that
//! was killed between COMMIT and invalidation.

use std::collections::HashSet;

use cache::{CacheClient, Invalidation};
use contract::{CartChange, ProductChange, ProductId};
use outbox::consumer::{EventHandler, HandlerError, Resync};
use outbox::log::LogPosition;
use outbox::relay::{OutboxEvent, RelayHook};
use service::events::{ProductEvent, require_invalidated, require_purged};

use crate::error::CartError;
use crate::facts::ProductSnapshots;
use crate::keys::{self, Caches};
use crate::view::Views;

/// The event handler for changes of products.
#[derive(Clone, Debug)]
pub struct CartEventHandler {
    cache: CacheClient,
    caches: Caches,
    snapshots: ProductSnapshots,
}

/// The relay hook for changes of carts.
#[derive(Clone, Debug)]
pub struct InvalidateOnRelay {
    cache: CacheClient,
    views: Views,
}

impl CartEventHandler {
    /// Creates a handler for the entries in `caches` and for `snapshots`.
    pub fn new(cache: CacheClient, caches: Caches, snapshots: ProductSnapshots) -> Self {
        Self { cache, caches, snapshots }
    }
}

impl EventHandler for CartEventHandler {
    type Data = ProductChange;

    async fn apply(&self, events: &[ProductEvent]) -> Result<(), HandlerError> {
        for event in events {
            self.cache.feed().event(event.change.kind.name(), Some(event.seq), event.change.subject());
        }
        // The minimum version first: a load that begins from here on rejects older data. A database that is read-only or full
        // refuses this write. The entries are removed all the same, and again when the event is redelivered.
        let recorded = self.snapshots.record_events(events).await;
        let products: HashSet<ProductId> =
            events.iter().filter_map(|event| event.change.product_id).map(ProductId::from).collect();
        if products.is_empty() {
            return recorded.map_err(unavailable);
        }
        let key = |id: &ProductId| self.caches.product.key(*id);
        let facts = products.iter().map(key).fold(Invalidation::hard(), Invalidation::key);
        require_invalidated(&self.cache, facts).await?;
        // Views last: a view that is loaded from here on does not find the old data.
        let views = Invalidation::hard().tags(products.iter().map(|id| keys::product(*id)));
        require_invalidated(&self.cache, views).await?;
        recorded.map_err(unavailable)
    }

    async fn resync(&self, _why: Resync) -> Result<Option<LogPosition>, HandlerError> {
        self.snapshots.reset_versions().await.map_err(unavailable)?;
        drop_everything(&self.cache).await?;
        Ok(None)
    }
}

impl InvalidateOnRelay {
    /// Creates a hook for `views`.
    pub fn new(cache: CacheClient, views: Views) -> Self {
        Self { cache, views }
    }
}

impl RelayHook for InvalidateOnRelay {
    type Data = CartChange;

    async fn before_append(&self, events: &[OutboxEvent<CartChange>]) -> Result<(), HandlerError> {
        let carts: HashSet<_> = events.iter().map(|committed| committed.event.change.cart_id).collect();
        require_invalidated(&self.cache, self.views.invalidation_of(carts)).await
    }

    /// After a change of the history, views may show lines that the database has lost.
    async fn history_changed(&self) -> Result<(), HandlerError> {
        drop_everything(&self.cache).await
    }

    async fn redis_changed(&self) -> Result<(), HandlerError> {
        drop_everything(&self.cache).await
    }
}

/// Purges all data of products and all views, twice. The first pass visits the entries in any order: while it runs, a
/// load may build a view from old data that the pass has not reached yet, and store the view where the pass has already
/// been. The second pass removes such a view. By then, no old data of products are left.
async fn drop_everything(cache: &CacheClient) -> Result<(), HandlerError> {
    require_purged(cache).await?;
    require_purged(cache).await
}

fn unavailable(error: CartError) -> HandlerError {
    HandlerError::Unavailable(error.to_string())
}
