//! What became of a read or a fill, and the one place that reports it: to the metrics, the feed and `Cache-Status`.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use bytes::Bytes;
use metrics::{Counter, Histogram, counter, histogram};
use tracing::{debug, warn};

use crate::codec::CodecError;
use crate::feed::{CacheEvent, EntryRecord, EventBuffer};
use crate::keyspace::Key;
use crate::loader::Content;

/// The source of a value, in the terms of RFC 9211 (`Cache-Status`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// A fresh entry from the cache.
    Hit,
    /// A fresh entry from the memory of this process.
    NearHit,
    /// An entry from the cache after its soft TTL. `get_or_load` has started a background refresh, unless the entry
    /// replaces a load that timed out.
    Stale,
    /// An entry from the cache after its hard TTL, because the load failed or took too long
    /// ([`Policy::stale_if_error`](crate::Policy::stale_if_error)).
    StaleIfError,
    /// An entry from the memory of this process while Redis is unavailable, which may have been invalidated by another
    /// process ([`Policy::serve_near_in_outage`](crate::Policy::serve_near_in_outage)).
    Unverified,
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
    /// The loader asked not to store the value ([`NewEntry::do_not_store`](crate::NewEntry::do_not_store)).
    Declined,
    /// The value is larger than [`Values::largest`](crate::Values::largest).
    TooLarge,
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
    /// A write that outdates the entry, or has outdated it, has a [guard](crate::write_guard) on it.
    Guarded,
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

/// Reports what happens to the entries of one cache. Its metrics are resolved once, so that counting a hit is one atomic
/// addition.
#[derive(Debug)]
pub(crate) struct Observer {
    cache: Arc<str>,
    events: Arc<EventBuffer>,
    reads: [Counter; READS.len()],
    fills: [Counter; FILLS.len()],
    loads: Counter,
    load_errors: Counter,
    load_seconds: Histogram,
    undecodable: Counter,
    /// Whether a value of this cache has been too large.
    was_too_large: AtomicBool,
}

const READS: [&str; 8] = ["hit", "stale", "miss", "collapsed", "bypass", "near", "stale-if-error", "unverified"];
const FILLS: [&str; 5] = ["stored", "refused", "declined", "failed", "too-large"];

impl Outcome {
    /// Returns whether the value was in the cache, fresh or not.
    pub fn is_cached(self) -> bool {
        matches!(self, Self::Hit | Self::NearHit | Self::Stale | Self::StaleIfError | Self::Unverified)
    }

    /// Returns the outcome as one word, for metrics.
    pub fn as_str(self) -> &'static str {
        READS[self.index()]
    }

    /// Returns the index of the outcome's label in [`READS`].
    fn index(self) -> usize {
        match self {
            Self::Hit => 0,
            Self::Stale => 1,
            Self::Miss(_) => 2,
            Self::Collapsed => 3,
            Self::Bypass(_) => 4,
            Self::NearHit => 5,
            Self::StaleIfError => 6,
            Self::Unverified => 7,
        }
    }

    /// Returns the parameters of `Cache-Status` without the TTL and the [`detail`](Self::detail).
    pub fn cache_status(self) -> &'static str {
        match self {
            Self::Hit | Self::NearHit | Self::Stale | Self::StaleIfError | Self::Unverified => "hit",
            Self::Miss(Fill::Stored) => "fwd=miss; stored",
            Self::Miss(Fill::Refused(_) | Fill::Declined | Fill::TooLarge | Fill::Failed) => "fwd=miss",
            Self::Collapsed => "fwd=miss; collapsed",
            Self::Bypass(_) => "fwd=bypass",
        }
    }

    /// Returns why the value was not stored, why the cache was bypassed, or why an old value was returned, or that it
    /// came from memory: the `detail` of `Cache-Status`.
    pub fn detail(self) -> Option<&'static str> {
        match self {
            Self::Miss(fill) => fill.detail(),
            Self::Bypass(why) => Some(why.as_str()),
            Self::NearHit => Some("near"),
            Self::StaleIfError | Self::Unverified => Some(self.as_str()),
            Self::Hit | Self::Stale | Self::Collapsed => None,
        }
    }
}

/// As the parameters of `Cache-Status`: `fwd=miss; detail=fenced`.
impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.cache_status())?;
        self.detail().map_or(Ok(()), |detail| write!(f, "; detail={detail}"))
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
            Self::Refused(FillRefusal::Guarded) => "guarded",
            Self::Declined => "not-stored",
            Self::TooLarge => "too-large",
            Self::Failed => "redis-down",
        })
    }

    /// Returns the index of the fill's label in [`FILLS`].
    fn index(self) -> usize {
        match self {
            Self::Stored => 0,
            Self::Refused(_) => 1,
            Self::Declined => 2,
            Self::Failed => 3,
            Self::TooLarge => 4,
        }
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
            "guarded" => Self::Guarded,
            _ => return None,
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

impl Observer {
    pub(crate) fn new(keyspace: &str, cache: &str, events: Arc<EventBuffer>) -> Self {
        let labelled = |name: &'static str, label: &'static str, value: &'static str| counter!(name, "keyspace" => keyspace.to_owned(), "lane" => cache.to_owned(), label => value);
        Self {
            cache: cache.into(),
            events,
            reads: READS.map(|outcome| labelled("cache_reads_total", "outcome", outcome)),
            fills: FILLS.map(|result| labelled("cache_fills_total", "result", result)),
            loads: labelled("cache_loads_total", "source", "database"),
            load_errors: labelled("cache_load_errors_total", "source", "database"),
            undecodable: counter!("cache_undecodable_total", "keyspace" => keyspace.to_owned(), "lane" => cache.to_owned()),
            was_too_large: AtomicBool::new(false),
            load_seconds: histogram!("cache_load_seconds", "keyspace" => keyspace.to_owned(), "lane" => cache.to_owned()),
        }
    }

    /// Reports the result of a read.
    pub(crate) fn observe(&self, key: &Key, outcome: Outcome) {
        self.reads[outcome.index()].increment(1);
        if let Outcome::Bypass(why) = outcome {
            self.emit(|| CacheEvent::Bypass(self.record(key, Some(why.as_str()))));
        }
    }

    /// Reports that a read has found an entry, fresh or stale. It is not called when the entry is found after a miss,
    /// which the feed has shown.
    pub(crate) fn found(&self, key: &Key, outcome: Outcome, version: Option<u64>, ttl_ms: i64) {
        let seen = || EntryRecord { version, ttl_ms: Some(ttl_ms), ..self.record(key, None) };
        self.emit(|| match outcome {
            Outcome::Stale | Outcome::StaleIfError | Outcome::Unverified => CacheEvent::Stale(seen()),
            _ => CacheEvent::Hit(seen()),
        });
    }

    /// Reports that a read has found no entry, and will load it or wait for a load.
    pub(crate) fn missed(&self, key: &Key) {
        self.emit(|| CacheEvent::Miss(self.record(key, None)));
    }

    /// Reports a load that took so long.
    pub(crate) fn loaded(&self, took: Duration, ok: bool) {
        self.loads.increment(1);
        self.load_seconds.record(took);
        if !ok {
            self.load_errors.increment(1);
        }
    }

    /// Reports bytes that are no entry, or are of another format.
    pub(crate) fn unreadable(&self, key: &Key) {
        self.undecodable.increment(1);
        debug!(%key, "an entry has a format that this version cannot read, so it is loaded again");
    }

    /// Reports an entry that could not be decoded, and is loaded again.
    pub(crate) fn undecodable(&self, key: &Key, error: &CodecError) {
        self.undecodable.increment(1);
        debug!(%key, %error, "an entry cannot be decoded, so it is loaded again; a change of the type needs a new schema");
    }

    /// Reports a fill with `loaded`, which is fresh for `ttl_ms` if it is stored.
    pub(crate) fn filled(&self, key: &Key, fill: Fill, loaded: &Content, ttl_ms: i64, largest: Option<usize>) {
        self.fills[fill.index()].increment(1);
        if fill == Fill::TooLarge && !self.was_too_large.swap(true, Relaxed) {
            let bytes = loaded.body.as_ref().map_or(0, Bytes::len);
            warn!(%key, bytes, largest, "a value is not stored, because it is larger than `largest` allows after compression, so each read loads it; further ones are counted, not logged");
        }
        self.emit(|| {
            let record = EntryRecord { version: loaded.version, ..self.record(key, fill.detail()) };
            match fill {
                Fill::Stored => {
                    CacheEvent::Fill(EntryRecord { ttl_ms: Some(ttl_ms), tags: loaded.tags.clone(), ..record })
                }
                Fill::Refused(_) | Fill::Declined | Fill::TooLarge | Fill::Failed => CacheEvent::Refused(record),
            }
        });
    }

    /// Emits an event if there are subscribers. On the path of every read.
    #[inline]
    fn emit(&self, what: impl FnOnce() -> CacheEvent) {
        if self.events.has_subscribers.load(Relaxed) {
            self.events.add(what());
        }
    }

    fn record(&self, key: &Key, detail: Option<&'static str>) -> EntryRecord {
        let cache = Arc::clone(&self.cache);
        EntryRecord { cache, key: key.clone(), version: None, ttl_ms: None, tags: Vec::new(), detail }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_outcome_and_fill_has_its_own_label_and_cache_status() {
        for (outcome, label, status) in [
            (Outcome::Hit, "hit", "hit"),
            (Outcome::NearHit, "near", "hit; detail=near"),
            (Outcome::Stale, "stale", "hit"),
            (Outcome::StaleIfError, "stale-if-error", "hit; detail=stale-if-error"),
            (Outcome::Unverified, "unverified", "hit; detail=unverified"),
            (Outcome::Miss(Fill::Stored), "miss", "fwd=miss; stored"),
            (Outcome::Miss(Fill::Failed), "miss", "fwd=miss; detail=redis-down"),
            (Outcome::Miss(Fill::Declined), "miss", "fwd=miss; detail=not-stored"),
            (Outcome::Miss(Fill::Refused(FillRefusal::Fenced)), "miss", "fwd=miss; detail=fenced"),
            (Outcome::Collapsed, "collapsed", "fwd=miss; collapsed"),
            (Outcome::Bypass(Bypass::RedisDown), "bypass", "fwd=bypass; detail=redis-down"),
            (Outcome::Bypass(Bypass::Requested("why")), "bypass", "fwd=bypass; detail=why"),
        ] {
            assert_eq!((outcome.as_str(), outcome.to_string().as_str()), (label, status));
        }
        for (fill, label) in [
            (Fill::Stored, "stored"),
            (Fill::Refused(FillRefusal::LeaseLost), "refused"),
            (Fill::Declined, "declined"),
            (Fill::Failed, "failed"),
            (Fill::TooLarge, "too-large"),
        ] {
            assert_eq!(FILLS[fill.index()], label);
        }
    }
}
