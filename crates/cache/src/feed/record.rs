//! What a feed consists of, and how it reads as JSON: `{"at_ms":…,"kind":"hit","lane":"ttl","key":"product:ttl:1",…}`.

use std::str::FromStr;
use std::sync::Arc;

use serde::Serialize;

use crate::{Key, Tag};

/// One thing that happened.
#[derive(Debug, Serialize)]
pub struct FeedRecord {
    /// Its number on the reel.
    #[serde(skip)]
    pub(crate) id: u64,
    /// When, in ms since 1970 by Redis' clock; meaningless as long as Redis has never answered.
    pub at_ms: u64,
    /// What.
    #[serde(flatten)]
    pub what: CacheEvent,
}

/// What can happen. Each variant is a kind, told by `kind` in its JSON.
#[derive(Debug, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum CacheEvent {
    /// A listener begins: first of all it hears whether it is resumed where it stood, or begins anew.
    Begin {
        /// Whether it is resumed.
        resumed: bool,
    },
    /// A listener was too slow.
    Lagged {
        /// How many records it lost, of all kinds.
        lost: u64,
    },
    /// A read found a fresh entry.
    Hit(EntryRecord),
    /// A read found a stale entry, and took it.
    Stale(EntryRecord),
    /// A read found nothing and is going to load, or to wait for a load.
    Miss(EntryRecord),
    /// A read was answered beside the cache.
    Bypass(EntryRecord),
    /// A loaded or written value was stored.
    Fill(EntryRecord),
    /// A loaded or written value was not stored; `detail` says why.
    Refused(EntryRecord),
    /// Entries were invalidated.
    Invalidate(InvalidationRecord),
    /// The service heard of something.
    Event(ServiceEventRecord),
}

/// Something about one entry.
#[derive(Debug, Serialize)]
pub struct EntryRecord {
    /// The name of its cache.
    #[serde(rename = "lane")]
    pub cache: Arc<str>,
    /// Its whole name.
    pub key: Key,
    /// The row's version, when the value is one row.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<u64>,
    /// Milliseconds of freshness left; below zero for how long it has been stale.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ttl_ms: Option<i64>,
    /// What the stored value carries.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<Tag>,
    /// Why, in the words of `Cache-Status`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<&'static str>,
}

/// An invalidation that is done, or deferred.
#[derive(Debug, Serialize)]
pub struct InvalidationRecord {
    /// Whether it was of the whole keyspace.
    pub everything: bool,
    /// Entries that it named, the first few.
    pub keys: Vec<Key>,
    /// Tags that it named, the first few.
    pub tags: Vec<Tag>,
    /// How many names it had beyond these.
    pub more: usize,
    /// Whether it only marked entries as stale.
    pub soft: bool,
    /// How many entries there were; `None` when it is deferred.
    pub entries: Option<u64>,
}

/// An event that the service has heard.
#[derive(Debug, Serialize)]
pub struct ServiceEventRecord {
    /// What kind of event.
    pub name: String,
    /// Its number in its log.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seq: Option<u64>,
    /// What it is about.
    pub about: String,
}

/// The kinds that one may ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "each is explained at the variant of `Happening` that it is named after")]
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
    /// Of the whole keyspace.
    pub(crate) fn everything(entries: Option<u64>) -> Self {
        Self { everything: true, keys: Vec::new(), tags: Vec::new(), more: 0, soft: false, entries }
    }
}

impl CacheEvent {
    /// Its kind; `None` for what every listener hears.
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

    /// The lane that it is about, if it is about one.
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
    /// All of them, by their names in JSON.
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
