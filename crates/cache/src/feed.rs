//! A feed of cache events for its current subscribers, such as a live page or a demo.
//!
//! Events go to a buffer of bounded size, and each subscriber reads from its own position. So a slow or disconnected
//! subscriber delays no other and not the cache; it receives a [`CacheEvent::Lagged`] where it has lost records.

mod buffer;
mod listener;
mod record;

use std::fmt::Display;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

pub(crate) use buffer::EventBuffer;
pub use listener::{FeedSubscription, TooManySubscribers};
pub use record::{CacheEvent, CacheEventKind, EntryRecord, FeedRecord, InvalidationRecord, ServiceEventRecord};

/// The feed of a cache client; see [`CacheClient::feed`](crate::CacheClient::feed).
#[derive(Clone, Debug)]
pub struct Feed {
    events: Arc<EventBuffer>,
    /// Ends the subscriptions.
    stop: CancellationToken,
}

impl Feed {
    pub(crate) fn new(events: Arc<EventBuffer>, stop: CancellationToken) -> Self {
        Self { events, stop }
    }

    /// Adds an event that this process has received: `event("product.updated", Some(17), "product:1")`.
    ///
    /// It costs nothing without subscribers; `about` is not even formatted.
    pub fn event(&self, name: &str, seq: Option<u64>, about: impl Display) {
        self.events
            .emit(|| CacheEvent::Event(ServiceEventRecord { name: name.to_owned(), seq, about: about.to_string() }));
    }

    /// Subscribes from now on, or after `last_id` if this buffer still knows it.
    ///
    /// # Errors
    /// Returns an error when the maximum number of subscribers is reached.
    pub fn subscribe(&self, last_id: Option<&str>) -> Result<FeedSubscription, TooManySubscribers> {
        FeedSubscription::new(&self.events, self.stop.clone(), last_id)
    }
}
