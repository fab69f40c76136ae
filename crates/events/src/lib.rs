//! Change events that cannot be lost, from the row that changed to the effect in another service.
//!
//! ```text
//! writer, psql ── COMMIT ──► outbox row (trigger, same transaction)
//!                              │  relay: numbers it, appends it, marks it done
//!                              ▼
//!               stream product:events ──► consumer of each service ──► effect, then XACK
//!               channel product:updates (whoever listens just now)
//! ```
//!
//! | module | what it is for |
//! |---|---|
//! | [`contract`] | what an event says, on the wire |
//! | [`relay`] | from the outbox table to the stream, in order and without holes |
//! | [`consumer`] | from the stream to an effect, at least once |
//! | [`log`] | the outbox over HTTP, for a consumer that has missed something |
//! | [`carts`] | all carts as they are, for a consumer that has lost events about them |
//! | [`product_api`] | the product API as its neighbours see it |
//!
//! The number of an event, its `seq`, is given by the database and is dense: 1, 2, 3, … It is also the id in the
//! stream (`seq-0`). That is what makes loss visible: a consumer that was at 41 and meets 43 knows that 42 is missing,
//! and asks for it.

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

/// Where events of one kind are found in Redis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Source {
    /// The stream: durable, read by consumers.
    pub stream: &'static str,
    /// The Pub/Sub channel that carries the same events to whoever listens; not every stream has one.
    pub channel: Option<&'static str>,
}

/// Changes of products and categories, from the product API.
pub const PRODUCT_EVENTS: Source = Source { stream: "product:events", channel: Some("product:updates") };

/// What is put into carts and taken out of them, from the cart.
pub const CART_EVENTS: Source = Source { stream: "cart:events", channel: None };

/// A Redis URL that cannot be used. The message does not repeat it: it may hold a password.
#[derive(Debug, thiserror::Error)]
#[error("the Redis URL cannot be used: {0}; expected redis://user:password@host:port/db")]
pub struct RedisUrlError(pub(crate) String);
