#![doc = include_str!("../README.md")]

mod address;
mod builder;
mod cluster;
mod connected;
mod credentials;
mod error;
mod sentinel;
mod silence;
mod socket;
mod stream;
#[cfg_attr(not(feature = "tls"), path = "without_tls.rs")]
mod tls;

pub use address::RedisAddress;
pub use builder::RedisClients;
pub use cluster::{address_of_primary, primary_of};
pub use connected::connected;
pub use credentials::Credentials;
pub use error::AddressError;
pub use silence::{reconnect_when_silent, wait_for_silence};
pub use socket::{Incoming, Outgoing};
