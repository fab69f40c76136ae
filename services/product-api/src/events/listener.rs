//! Strategy 4: listens to `product:updates`, and removes the outdated entries from the `events` cache.
//!
//! Pub/Sub does not deliver a message to a subscriber that is disconnected. After anything that may have lost a message
//! (a new subscription, a receiver that lagged), the consumer calls [`Listener::resync`], which invalidates the whole
//! `events` cache. The consumer subscribes first: in the other order, an event between the two would neither be received
//! nor be covered by the invalidation.

use std::time::Duration;

use cache::{CacheClient, Invalidated, Invalidation};
use chrono::Utc;
use contract::ProductChange;
use metrics::{counter, histogram};
use outbox::Unreadable;
use outbox::consumer::{ChannelSubscription, Consumer, EventHandler, HandlerError, Resync};
use outbox::log::LogPosition;
use redis_connect::RedisAddress;
use service::events::ProductEvent;
use tokio::time::timeout;
use tracing::info;

use crate::keys::{self, Caches};
use crate::strategies::Strategy;

/// The longest time that a start waits for the connection if Redis is available.
const FIRST_CONNECTION: Duration = Duration::from_secs(1);

/// Subscribes and starts to listen. If Redis is unavailable, the listener subscribes as soon as Redis is available.
pub async fn listen(redis: &RedisAddress, command_timeout: Duration, cache: CacheClient, caches: Caches) -> Consumer {
    let subscription = ChannelSubscription {
        stream: ProductChange::STREAM,
        channel: ProductChange::CHANNEL,
        types: ProductChange::TYPES,
        command_timeout,
    };
    let is_up = cache.health().is_in_use();
    let consumer = Consumer::listen(redis, subscription, Listener { cache, caches });
    // Waits for the subscription, so that the listener receives the first event after a start. Without Redis it does not
    // wait.
    if is_up {
        let mut status = consumer.watch();
        let _ = timeout(FIRST_CONNECTION, async { drop(status.wait_for(|status| status.connected).await) }).await;
    }
    consumer
}

/// The handler of the channel's messages.
struct Listener {
    cache: CacheClient,
    caches: Caches,
}

impl EventHandler for Listener {
    type Data = ProductChange;

    async fn apply(&self, events: &[ProductEvent]) -> Result<(), HandlerError> {
        for event in events {
            self.cache.feed().event(event.change.kind.name(), Some(event.seq), event.change.subject());
        }
        // The cache retries a deferred invalidation by itself.
        if let Invalidated::Done { .. } = self.cache.invalidate(self.invalidation_for(events)).await {
            for event in events {
                // The difference of the clocks of the database and of this process. On one machine they are the same.
                let took = (Utc::now() - event.occurred_at).to_std().unwrap_or_default();
                histogram!("product_event_applied_seconds").record(took);
                counter!("product_events_total", "result" => "applied").increment(1);
            }
        }
        Ok(())
    }

    async fn resync(&self, why: Resync) -> Result<Option<LogPosition>, HandlerError> {
        counter!("product_events_total", "result" => "resync").increment(1);
        info!(?why, "events may have been lost; the entries of strategy `events` are removed");
        // The cache retries a deferred invalidation by itself.
        let _ = self.cache.invalidate(Invalidation::hard().tag(keys::events_lane())).await;
        Ok(None)
    }

    fn unreadable(&self, _why: &Unreadable) {
        counter!("product_events_total", "result" => "malformed").increment(1);
    }
}

impl Listener {
    fn invalidation_for(&self, events: &[ProductEvent]) -> Invalidation {
        events.iter().fold(Invalidation::hard(), |named, event| match event.change.product_id {
            Some(product) => named.key(self.caches.products[Strategy::Events as usize].key(product)),
            None => named.tag(keys::category(event.change.category_id.into())),
        })
    }
}
