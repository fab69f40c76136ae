//! Redis and its client library. No type of `fred` leaves this module.

mod breaker;
mod clock;
mod connection;
mod epoch;
mod probe;
mod reads;
mod scripts;
mod server;
mod store;

pub use connection::ConnectError;
pub(crate) use connection::Connection;
pub(crate) use store::{AcquireReply, CommitReply, Grant, InspectedEntry, Store, StoreError};
