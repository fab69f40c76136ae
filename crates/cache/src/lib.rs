#![cfg_attr(not(doctest), doc = include_str!("docs/links.txt"))]
#![doc = include_str!("../README.md")]

mod acknowledged;
mod batch;
mod bulkhead;
mod cache;
mod client;
pub mod codec;
#[cfg(doc)]
pub mod docs;
mod duration;
mod early_refresh;
mod entry;
pub mod error;
mod fallback;
pub mod feed;
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing;
pub mod health;
pub mod incarnation;
pub mod inspect;
mod invalidate;
mod keyspace;
mod lease;
mod load;
pub mod loader;
mod many;
pub mod memory;
mod names;
mod near;
mod near_cache;
pub mod outcome;
mod pending;
mod policy;
mod purge;
mod purge_queue;
mod recurring_failure;
mod redis;
mod refresh;
mod retry;
mod settings;
mod single_flight;
mod store;
mod sweep;
mod sync;
mod tags_together;
mod values;
pub mod write_guard;
pub mod write_through;

pub use cache::Cache;
pub use client::CacheClient;
pub use entry::Cached;
pub use invalidate::{Invalidated, Invalidation};
pub use keyspace::{Key, Keyspace, Tag};
pub use loader::{NewEntry, with};
pub use many::{BatchId, BatchLoader};
pub use outcome::Outcome;
pub use policy::{EarlyRefresh, Near, Policy};
pub use redis_connect::RedisAddress;
pub use settings::CacheSettings;
pub use values::Values;
