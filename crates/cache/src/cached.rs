//! The result of a read: the value, its age, and its source.

use std::time::Duration;

use bytes::Bytes;
use serde::de::DeserializeOwned;

use crate::NewEntry;
use crate::entry::StoredEntry;

/// The result of a read.
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

/// The source of a value, in the terms of RFC 9211 (`Cache-Status`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// A fresh entry from the cache.
    Hit,
    /// An entry from the cache after its soft TTL. `get_or_load` has started a background refresh, unless the entry
    /// replaces a load that timed out.
    Stale,
    /// Loaded by this read.
    Miss(Fill),
    /// Loaded by another reader, or found in Redis by the reader that was about to load.
    Collapsed,
    /// Loaded without the cache, and not stored.
    Bypass(Bypass),
}

/// The result of a fill.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fill {
    /// The value is in the cache.
    Stored,
    /// The fill was refused, because the value may have changed since the load began.
    Refused(FillRefusal),
    /// The loader asked not to store the value ([`NewEntry::do_not_store`]).
    Declined,
    /// Redis did not answer the commit, or refused it for lack of memory.
    Failed,
}

/// The reason for a refused fill. Each is a race that would have stored an outdated value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FillRefusal {
    /// The lease expired, a writer took it over, or an invalidation removed it.
    LeaseLost,
    /// The generation changed during the load: Redis lost its data, or the keyspace was purged.
    Generation,
    /// The load is older than the fences that are kept.
    BelowFloor,
    /// One of the value's tags was invalidated during the load.
    Fenced,
    /// A later version of the row is known to be committed
    /// ([`Invalidation::key_older_than`](crate::Invalidation::key_older_than)).
    VersionOutdated,
}

/// The reason why a read bypassed the cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Bypass {
    /// Redis does not answer, or not in time.
    RedisDown,
    /// Another process holds the lease for longer than the policy's wait.
    LeaseHeld,
    /// An invalidation of this entry is pending; until it succeeds, this process does not trust the entry.
    InvalidationPending,
    /// Invalidations came faster than loads could be shared.
    Contended,
    /// The caller requested the bypass ([`Cache::load_uncached`](crate::Cache::load_uncached)) and gave this reason.
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

    /// Returns the stored bytes; `None` for a negative entry.
    pub fn body(&self) -> Option<&Bytes> {
        self.body.as_ref()
    }

    /// Returns the value, decoded from JSON; `None` for a negative entry.
    ///
    /// # Errors
    /// Returns an error when the body is not the JSON of a `T`.
    pub fn json<T: DeserializeOwned>(&self) -> Result<Option<T>, serde_json::Error> {
        self.body.as_ref().map(|body| serde_json::from_slice(body)).transpose()
    }

    /// Returns the version of the row, when the value is one row.
    pub fn version(&self) -> Option<u64> {
        self.version
    }

    /// Returns the [`Digest`](crate::Digest) of the body, as stored with it; `None` for a negative entry.
    pub fn digest(&self) -> Option<&str> {
        self.digest.as_ref().and_then(|digest| std::str::from_utf8(digest).ok())
    }

    /// Returns the unique id of the fill, 32 hex digits; `None` when the value is not in the cache.
    pub fn id(&self) -> Option<&str> {
        self.id.as_ref().and_then(|id| std::str::from_utf8(id).ok())
    }

    /// Returns the time since the value was stored, by Redis' clock.
    pub fn age(&self) -> Duration {
        Duration::from_millis(self.age_ms)
    }

    /// Returns the remaining freshness in milliseconds; negative once the value is stale.
    pub fn ttl_ms(&self) -> i64 {
        self.ttl_ms
    }

    /// Returns the milliseconds until the entry is removed; 0 when the value is not in the cache.
    pub fn hard_ttl_ms(&self) -> u64 {
        self.hard_ttl_ms
    }

    /// Returns the source of the value.
    pub fn outcome(&self) -> Outcome {
        self.outcome
    }
}

impl FillRefusal {
    /// Parses the name that the commit script uses.
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
    /// Returns why nothing was stored, as a token for `Cache-Status`.
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
    /// Returns the reason, as a token for `Cache-Status`.
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
    /// Returns the outcome as one word, for metrics.
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
