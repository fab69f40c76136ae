#![doc = include_str!("../README.md")]

mod batch;
mod bulkhead;
mod cache;
mod digest;
mod entry;
mod error;
mod feed;
mod fetched;
mod flight;
mod health;
mod in_doubt;
mod inspect;
mod invalidate;
mod keyspace;
mod lane;
mod loaded;
mod meter;
mod miss;
mod outage;
mod policy;
mod redis;
mod refresh;
mod repair;
mod settings;
mod sweep;
mod sync;
mod tag;
mod write_through;

pub use batch::Batch;
pub use cache::Cache;
pub use digest::Digest;
pub use error::{FetchError, LoadError};
pub use feed::{
    EntryRecord, EventRecord, Feed, FeedCrowded, Happening, HappeningKind, InvalidationRecord, Listener, Record,
};
pub use fetched::{Bypass, Fetched, Fill, Outcome, Refusal};
pub use health::{Health, Reason};
pub use inspect::{BadCursor, EntryCursor, EntryInfo, EntryPage, EntryState, InspectError};
pub use invalidate::{Invalidated, Invalidation};
pub use keyspace::{Key, Keyspace, KeyspaceError};
pub use lane::Lane;
pub use loaded::Loaded;
pub use policy::{Policy, PolicyError};
pub use redis::ConnectError;
pub use settings::CacheSettings;
pub use tag::Tag;
pub use write_through::{Published, WriteLease};
