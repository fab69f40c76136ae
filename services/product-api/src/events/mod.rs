//! How the product API handles the events of its own catalogue.
//!
//! Triggers write the events into the outbox, in the transaction of the change (`migrations/*_announce`). The relay of
//! `crates/outbox` reads them there. Before it appends them to the stream, it calls [`InvalidateOnRelay`], which
//! repeats the invalidations that a writer may not have made. [`listen`] starts the listener of strategy 4, which
//! receives changes over Pub/Sub.

mod invalidate_on_relay;
mod listener;

pub use invalidate_on_relay::InvalidateOnRelay;
pub use listener::listen;
