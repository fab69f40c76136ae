//! What a reader gets: the value, how old it is, and where it came from.

use std::time::Duration;

use bytes::Bytes;
use serde::de::DeserializeOwned;

use crate::NewEntry;
use crate::entry::StoredEntry;

/// The answer to a fetch.
#[derive(Clone, Debug)]
pub struct Cached {
    pub(crate) body: Option<Bytes>,
    pub(crate) version: Option<u64>,
    pub(crate) digest: Option<Bytes>,
    pub(crate) id: Option<Bytes>,
    pub(crate) age_ms: u64,
    pub(crate) ttl_ms: i64,
    pub(crate) hard_ttl_ms: u64,
    pub(crate) outcome: Outcome,
}

/// Where a fetched value came from, in the terms of RFC 9211 (`Cache-Status`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// From the cache, fresh.
    Hit,
    /// From the cache, past its soft TTL; a refresh is under way.
    Stale,
    /// Loaded by this read.
    Miss(Fill),
    /// Loaded by another reader's load, or found when that reader was about to load.
    Collapsed,
    /// Loaded beside the cache, nothing stored.
    Bypass(Bypass),
}

/// What became of a loaded value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fill {
    /// It is in the cache.
    Stored,
    /// It was refused, because something may have changed since the load began.
    Refused(FillRefusal),
    /// The loader did not want it to be stored ([`NewEntry::do_not_store`]).
    Declined,
    /// Redis did not answer the commit, or refused it for want of memory.
    Failed,
}

/// Why a fill was refused: each is a race that would have stored an outdated value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FillRefusal {
    /// The lease expired, was taken by a writer, or was removed by an invalidation.
    LeaseLost,
    /// The fence table vanished meanwhile (FLUSHALL, restart).
    Generation,
    /// The load is older than the fences that are remembered.
    BelowFloor,
    /// One of the value's tags was invalidated meanwhile.
    Fenced,
    /// A later version of the row is known to be committed ([`Invalidation::key_older_than`](crate::Invalidation::key_older_than)).
    VersionOutdated,
}

/// Why a read went past the cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Bypass {
    /// Redis does not answer, or not in time.
    RedisDown,
    /// Another process holds the lease for longer than the policy waits.
    LeaseHeld,
    /// An invalidation of this entry could not be done yet; until then this process does not trust the entry.
    InvalidationPending,
    /// Invalidations came faster than loads could be shared.
    Contended,
    /// The caller asked for it ([`Cache::load_uncached`](crate::Cache::load_uncached)), and says why.
    Requested(&'static str),
}

impl Cached {
    pub(crate) fn from_stored(entry: &StoredEntry, now: u64, outcome: Outcome) -> Self {
        Self {
            body: (!entry.absent).then(|| entry.body()),
            version: entry.version,
            digest: (!entry.absent).then(|| entry.digest()),
            id: Some(entry.id()),
            age_ms: entry.age(now),
            ttl_ms: entry.ttl(now),
            hard_ttl_ms: entry.hard.saturating_sub(entry.age(now)),
            outcome,
        }
    }

    pub(crate) fn from_new_entry(loaded: &NewEntry, outcome: Outcome) -> Self {
        Self {
            body: loaded.body.clone(),
            version: loaded.version,
            digest: loaded.digest.map(|digest| digest.to_string().into()),
            id: None,
            age_ms: 0,
            ttl_ms: 0,
            hard_ttl_ms: 0,
            outcome,
        }
    }

    /// The stored bytes; `None` when there is no such thing.
    pub fn body(&self) -> Option<&Bytes> {
        self.body.as_ref()
    }

    /// The value, decoded from JSON; `None` when there is no such thing.
    ///
    /// # Errors
    /// When the body is not the JSON of a `T`.
    pub fn json<T: DeserializeOwned>(&self) -> Result<Option<T>, serde_json::Error> {
        self.body.as_ref().map(|body| serde_json::from_slice(body)).transpose()
    }

    /// The row's version, when the value is one row.
    pub fn version(&self) -> Option<u64> {
        self.version
    }

    /// The [`Digest`](crate::Digest) of the body, as it was stored with it; `None` when there is no such thing.
    pub fn digest(&self) -> Option<&str> {
        self.digest.as_ref().and_then(|digest| std::str::from_utf8(digest).ok())
    }

    /// 32 hex digits that no other fill shares; `None` when the value is not in the cache.
    pub fn id(&self) -> Option<&str> {
        self.id.as_ref().and_then(|id| std::str::from_utf8(id).ok())
    }

    /// How long ago the value was stored, by Redis' clock.
    pub fn age(&self) -> Duration {
        Duration::from_millis(self.age_ms)
    }

    /// Milliseconds of freshness left; below zero for how long it has been stale.
    pub fn ttl_ms(&self) -> i64 {
        self.ttl_ms
    }

    /// Milliseconds until the entry is removed; 0 when the value is not in the cache.
    pub fn hard_ttl_ms(&self) -> u64 {
        self.hard_ttl_ms
    }

    /// Where the value came from.
    pub fn outcome(&self) -> Outcome {
        self.outcome
    }
}

impl FillRefusal {
    /// As the commit script names it.
    pub(crate) fn parse(word: &str) -> Option<Self> {
        Some(match word {
            "lost" => Self::LeaseLost,
            "generation" => Self::Generation,
            "floor" => Self::BelowFloor,
            "fenced" => Self::Fenced,
            "outdated" => Self::VersionOutdated,
            _ => return None,
        })
    }
}

impl Fill {
    /// Why nothing was stored, as `Cache-Status` says it.
    pub fn detail(self) -> Option<&'static str> {
        Some(match self {
            Self::Stored => return None,
            Self::Refused(FillRefusal::LeaseLost) => "lease-lost",
            Self::Refused(FillRefusal::Generation) => "generation",
            Self::Refused(FillRefusal::BelowFloor) => "floor",
            Self::Refused(FillRefusal::Fenced) => "fenced",
            Self::Refused(FillRefusal::VersionOutdated) => "outdated",
            Self::Declined => "not-stored",
            Self::Failed => "redis-down",
        })
    }
}

impl Bypass {
    /// Why, as `Cache-Status` says it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::RedisDown => "redis-down",
            Self::LeaseHeld => "lease-held",
            Self::InvalidationPending => "repair-pending",
            Self::Contended => "contended",
            Self::Requested(why) => why,
        }
    }
}

impl Outcome {
    /// One word for metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hit => "hit",
            Self::Stale => "stale",
            Self::Miss(_) => "miss",
            Self::Collapsed => "collapsed",
            Self::Bypass(_) => "bypass",
        }
    }
}
