//! Redis and its client library. No type of `fred` leaves this module.

mod breaker;
mod clock;
mod connect;
mod connection;
mod error;
mod guards;
mod holders;
mod login;
mod lost_leases;
mod node;
mod probe;
mod reads;
mod removals;
mod scans;
mod scripts;
mod server;
mod store;
mod tracking;
mod trust;
mod wire;

pub use connect::{AddressError, ConnectError};
pub(crate) use error::StoreError;
pub(crate) use guards::GuardMembers;
pub(crate) use holders::Holders;
pub(crate) use removals::{MAX_KEYS_PER_COMMAND, Step, TagCursor};
pub(crate) use scans::{InspectedEntry, ScannedServer, SweepReply};
pub(crate) use store::RedisStore;
pub(crate) use tracking::Tracking;
#[cfg(fuzzing)]
pub(crate) use wire::compare_with_library;
