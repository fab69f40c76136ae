//! The events of the shop: the payloads of `contract` in the envelope of `outbox`.

use std::time::Duration;

use cache::error::Deferred;
use cache::{CacheClient, Invalidation};
use contract::{CartChange, ProductChange};
use outbox::consumer::HandlerError;
use outbox::{Event, EventSource};

/// An event about the catalogue.
pub type ProductEvent = Event<ProductChange>;

/// An event about a cart.
pub type CartEvent = Event<CartChange>;

/// Changes of products and categories, published by the product API.
pub const PRODUCT_EVENTS: EventSource =
    EventSource { stream: ProductChange::STREAM, channel: Some(ProductChange::CHANNEL), types: ProductChange::TYPES };

/// Additions to carts and removals from carts, published by the cart.
pub const CART_EVENTS: EventSource =
    EventSource { stream: CartChange::STREAM, channel: None, types: CartChange::TYPES };

/// How long a step in the handling of events waits for a deferred invalidation. After that, the events are delivered again,
/// and the service reports that it cannot apply them. A shutdown waits for the step.
const LONGEST_WAIT: Duration = Duration::from_secs(2);

/// Invalidates entries, and requires the acknowledgement: events stay unacknowledged until then.
///
/// # Errors
/// Returns an error if the invalidation is deferred, and still is after two seconds or when Redis is no longer in use. Then
/// the events are delivered again.
pub async fn require_invalidated(cache: &CacheClient, invalidation: Invalidation) -> Result<(), HandlerError> {
    cache.invalidate_within(invalidation, LONGEST_WAIT).await.map_err(unavailable)
}

/// Removes every entry, and requires the acknowledgement.
///
/// # Errors
/// Returns an error if the purge is deferred, and still is after two seconds or when Redis is no longer in use.
pub async fn require_purged(cache: &CacheClient) -> Result<(), HandlerError> {
    cache.purge_within(LONGEST_WAIT).await.map_err(unavailable)
}

fn unavailable(deferred: Deferred) -> HandlerError {
    HandlerError::Unavailable(deferred.to_string())
}

#[cfg(test)]
mod tests {
    use contract::ProductChangeKind;
    use outbox::Unreadable;

    use super::*;

    const EVENT: &str = r#"{"event_id":"01936f2e-7b3c-7000-8000-000000000000","seq":12,"type":"product.updated",
        "product_id":1,"version":2,"category_id":3,"previous_category_id":null,"changed":["price_cents"],
        "occurred_at":"2026-11-22T10:00:00Z","traceparent":"00-0-0-00","invented_later":true}"#;

    fn parse(json: &str) -> Result<ProductEvent, Unreadable> {
        ProductEvent::parse(json.as_bytes(), PRODUCT_EVENTS.types)
    }

    #[test]
    fn product_event_is_parsed_and_serialised() {
        let event = parse(EVENT).expect("unknown fields are ignored");
        assert_eq!((event.seq, event.schema, event.change.kind), (12, 1, ProductChangeKind::ProductUpdated));
        assert_eq!((event.change.product_id, event.change.version), (Some(1), 2));
        let json = serde_json::to_string(&event).expect("plain data");
        assert_eq!(parse(&json), Ok(event));
    }

    #[test]
    fn product_event_of_an_unknown_type_is_recognised() {
        let praised = parse(&EVENT.replace("updated", "praised"));
        assert_eq!(praised, Err(Unreadable::UnknownType("product.praised".to_owned())));
    }
}
