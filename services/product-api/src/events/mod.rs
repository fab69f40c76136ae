//! What the product API itself does with the events of its own catalogue.
//!
//! They are written by triggers, into the outbox, with the change itself (`migrations/*_outbox`); the relay of
//! `crates/events` takes them from there. On the way it tells [`InvalidateOnRelay`], which repeats for every change the
//! invalidations that its writer may not have come to. [`Listener`] is strategy 4: it hears of changes over Pub/Sub.

mod invalidate_on_relay;
mod listener;

pub use invalidate_on_relay::InvalidateOnRelay;
pub use listener::Listener;
