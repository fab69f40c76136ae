//! Change events that survive crashes, from the changed row to the effect in another service.
//!
//! ```text
//! writer, psql ── COMMIT ──► outbox row (trigger, same transaction)
//!                              │  relay: numbers the row, appends it, marks it as appended
//!                              ▼
//!               stream product:events ──► consumer of each service ──► effect, then XACK
//!               channel product:updates (current subscribers only)
//! ```
//!
//! | module | purpose |
//! |---|---|
//! | [`contract`] | the format of an event |
//! | [`relay`] | publishes the outbox table to the stream, in order and without gaps |
//! | [`consumer`] | applies the events of the stream, at least once |
//! | [`log`] | the outbox over HTTP, for a consumer that has missed events |
//! | [`carts`] | a snapshot of all carts, for a consumer that has lost cart events |
//! | [`product_api`] | the client of the product API for the other services |
//!
//! The database assigns the number of an event, its `seq`. The numbers are dense: 1, 2, 3, … The number is also the id
//! of the entry in the stream (`seq-0`). Dense numbers make loss visible: a consumer that has applied 41 and receives
//! 43 knows that 42 is missing, and fetches it.

mod backoff;
pub mod carts;
pub mod consumer;
pub mod contract;
pub mod log;
pub mod product_api;
mod recurring_failure;
mod redis;
pub mod relay;

pub use backoff::Backoff;
pub use recurring_failure::RecurringFailure;
pub use redis::reconnect_when_silent;

/// The Redis keys of one kind of events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Source {
    /// The durable stream, which consumers read.
    pub stream: &'static str,
    /// The Pub/Sub channel that carries the same events to its current subscribers; not every stream has one.
    pub channel: Option<&'static str>,
}

/// Changes of products and categories, published by the product API.
pub const PRODUCT_EVENTS: Source = Source { stream: "product:events", channel: Some("product:updates") };

/// Additions to carts and removals from carts, published by the cart.
pub const CART_EVENTS: Source = Source { stream: "cart:events", channel: None };

/// A Redis URL that cannot be used. The message omits the URL, because it may contain a password.
#[derive(Debug, thiserror::Error)]
#[error("the Redis URL cannot be used: {0}; expected redis://user:password@host:port/db")]
pub struct RedisUrlError(pub(crate) String);
