#![doc = include_str!("../README.md")]

mod batch;
mod bulkhead;
mod cache;
mod cached;
mod client;
mod digest;
mod entry;
mod error;
mod feed;
mod flight;
mod health;
mod in_doubt;
mod inspect;
mod invalidate;
mod keyspace;
mod metrics;
mod miss;
mod new_entry;
mod pending;
mod policy;
mod recurring_failure;
mod redis;
mod refresh;
mod settings;
mod sweep;
mod sync;
mod tag;
mod write_through;

pub use batch::Batch;
pub use cache::Cache;
pub use cached::{Bypass, Cached, Fill, FillRefusal, Outcome};
pub use client::CacheClient;
pub use digest::Digest;
pub use error::{GetError, LoaderError};
pub use feed::{
    CacheEvent, CacheEventKind, EntryRecord, Feed, FeedRecord, FeedSubscription, InvalidationRecord,
    ServiceEventRecord, TooManySubscribers,
};
pub use health::{Health, Reason};
pub use inspect::{EntryCursor, EntryInfo, EntryPage, EntryState, InspectError, InvalidCursor};
pub use invalidate::{Invalidated, Invalidation};
pub use keyspace::{Key, Keyspace, KeyspaceError};
pub use new_entry::NewEntry;
pub use policy::{Policy, PolicyError};
pub use redis::ConnectError;
pub use settings::CacheSettings;
pub use tag::Tag;
pub use write_through::{Published, WriteLease};
