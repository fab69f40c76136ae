#![doc = include_str!("../README.md")]

mod batch;
mod bulkhead;
mod cache;
mod client;
mod entry;
mod error;
mod feed;
mod health;
mod inspect;
mod invalidate;
mod invalidation;
mod keyspace;
mod load;
mod new_entry;
mod outcome;
mod pending;
mod policy;
mod recurring_failure;
mod redis;
mod refresh;
mod region;
mod retry;
mod settings;
mod single_flight;
mod sweep;
mod sync;
mod tag;
mod write_through;

pub use batch::Batch;
pub use cache::Cache;
pub use client::CacheClient;
pub use entry::Cached;
pub use error::{GetError, LoaderError};
pub use feed::{
    CacheEvent, CacheEventKind, EntryRecord, Feed, FeedRecord, FeedSubscription, InvalidationRecord,
    ServiceEventRecord, TooManySubscribers,
};
pub use health::{Health, Reason};
pub use inspect::{EntryCursor, EntryInfo, EntryPage, EntryState, InspectError, InvalidCursor};
pub use invalidation::{Invalidated, Invalidation};
pub use keyspace::{Key, Keyspace, KeyspaceError};
pub use new_entry::{Digest, NewEntry};
pub use outcome::{Bypass, Fill, FillRefusal, Outcome};
pub use policy::{Policy, PolicyError};
pub use redis::ConnectError;
pub use settings::CacheSettings;
pub use tag::Tag;
pub use write_through::{Published, WriteLease};
