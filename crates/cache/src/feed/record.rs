//! The records of the feed, and their JSON: `{"at_ms":…,"kind":"hit","lane":"ttl","key":"product:ttl:1",…}`.

use std::str::FromStr;
use std::sync::Arc;

use serde::Serialize;

use crate::keyspace::Key;
use crate::keyspace::Tag;

/// One record of the feed.
#[derive(Debug, Serialize)]
pub struct FeedRecord {
    #[serde(skip)]
    pub(crate) id: u64,
    /// The time in ms since 1970, by Redis' clock; meaningless until Redis has answered for the first time.
    pub at_ms: u64,
    /// The event.
    #[serde(flatten)]
    pub what: CacheEvent,
}

/// An event. Its JSON names the variant in `kind`.
#[derive(Debug, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum CacheEvent {
    /// A subscription begins. It is the first record of each subscription.
    Begin {
        /// Whether the subscription resumes at its earlier position.
        resumed: bool,
    },
    /// The subscriber was too slow.
    Lagged {
        /// Number of lost records, of all kinds.
        lost: u64,
    },
    /// A read found a fresh entry.
    Hit(EntryRecord),
    /// A read found a stale entry and returned it.
    Stale(EntryRecord),
    /// A read found no entry; it will load, or wait for a load.
    Miss(EntryRecord),
    /// A read bypassed the cache.
    Bypass(EntryRecord),
    /// A loaded or written value was stored.
    Fill(EntryRecord),
    /// A loaded or written value was not stored; `detail` gives the reason.
    Refused(EntryRecord),
    /// Entries were invalidated.
    Invalidate(InvalidationRecord),
    /// The service received an event.
    Event(ServiceEventRecord),
}

/// An event on one entry.
#[derive(Debug, Serialize)]
pub struct EntryRecord {
    /// The name of its cache.
    #[serde(rename = "lane")]
    pub cache: Arc<str>,
    /// The full name of its key.
    pub key: Key,
    /// The version of the row, when the value is one row.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<u64>,
    /// Remaining freshness in milliseconds; negative once the entry is stale.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ttl_ms: Option<i64>,
    /// The tags of the stored value.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<Tag>,
    /// The reason, as a token of `Cache-Status`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<&'static str>,
}

/// An invalidation that is done or deferred.
#[derive(Debug, Serialize)]
pub struct InvalidationRecord {
    /// Whether it was a purge of the whole keyspace.
    pub everything: bool,
    /// The first few keys.
    pub keys: Vec<Key>,
    /// The first few tags.
    pub tags: Vec<Tag>,
    /// Number of further names.
    pub more: usize,
    /// Whether it only marked entries as stale.
    pub soft: bool,
    /// Number of entries that existed; `None` when the invalidation is deferred.
    pub entries: Option<u64>,
}

/// An event that the service received.
#[derive(Debug, Serialize)]
pub struct ServiceEventRecord {
    /// The type of the event.
    pub name: String,
    /// Its sequence number in its log.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seq: Option<u64>,
    /// The subject of the event.
    pub about: String,
}

/// The kinds of events by which a subscriber can filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "each is explained at the variant of `CacheEvent` that it is named after")]
pub enum CacheEventKind {
    Hit,
    Stale,
    Miss,
    Bypass,
    Fill,
    Refused,
    Invalidate,
    Event,
}

impl InvalidationRecord {
    pub(crate) fn everything(entries: Option<u64>) -> Self {
        Self { everything: true, keys: Vec::new(), tags: Vec::new(), more: 0, soft: false, entries }
    }
}

impl CacheEvent {
    /// Returns the kind; `None` for events that every subscriber receives.
    pub fn kind(&self) -> Option<CacheEventKind> {
        Some(match self {
            Self::Begin { .. } | Self::Lagged { .. } => return None,
            Self::Hit(_) => CacheEventKind::Hit,
            Self::Stale(_) => CacheEventKind::Stale,
            Self::Miss(_) => CacheEventKind::Miss,
            Self::Bypass(_) => CacheEventKind::Bypass,
            Self::Fill(_) => CacheEventKind::Fill,
            Self::Refused(_) => CacheEventKind::Refused,
            Self::Invalidate(_) => CacheEventKind::Invalidate,
            Self::Event(_) => CacheEventKind::Event,
        })
    }

    /// Returns the name of the cache that the event is about, if any.
    pub fn cache(&self) -> Option<&str> {
        match self {
            Self::Hit(entry)
            | Self::Stale(entry)
            | Self::Miss(entry)
            | Self::Bypass(entry)
            | Self::Fill(entry)
            | Self::Refused(entry) => Some(&entry.cache),
            Self::Begin { .. } | Self::Lagged { .. } | Self::Invalidate(_) | Self::Event(_) => None,
        }
    }
}

impl CacheEventKind {
    /// All kinds, with their names in JSON.
    pub const ALL: [(&'static str, Self); 8] = [
        ("hit", Self::Hit),
        ("stale", Self::Stale),
        ("miss", Self::Miss),
        ("bypass", Self::Bypass),
        ("fill", Self::Fill),
        ("refused", Self::Refused),
        ("invalidate", Self::Invalidate),
        ("event", Self::Event),
    ];
}

impl FromStr for CacheEventKind {
    type Err = ();

    fn from_str(name: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find_map(|(known, kind)| (known == name).then_some(kind)).ok_or(())
    }
}
