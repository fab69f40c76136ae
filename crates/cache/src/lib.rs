#![doc = include_str!("../README.md")]

mod batch;
mod bulkhead;
mod cache;
mod client;
mod entry;
pub mod error;
pub mod feed;
pub mod health;
pub mod inspect;
mod invalidate;
mod keyspace;
mod load;
pub mod loader;
mod near;
mod near_cache;
pub mod outcome;
mod pending;
mod policy;
mod recurring_failure;
mod redis;
mod refresh;
mod retry;
mod settings;
mod single_flight;
mod sweep;
mod sync;
pub mod write_through;

pub use cache::Cache;
pub use client::CacheClient;
pub use entry::Cached;
pub use invalidate::{Invalidated, Invalidation};
pub use keyspace::{Key, Keyspace, Tag};
pub use loader::{NewEntry, with};
pub use outcome::Outcome;
pub use policy::{Near, Policy};
pub use settings::CacheSettings;
