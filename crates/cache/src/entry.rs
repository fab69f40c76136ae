//! The bytes under an entry's key in Redis, and the result of a read.
//!
//! ```text
//! L<id>                                                                    a lease: a load or a write is in flight
//! L<id> least=3                                                            a lease: only version 3 or later is stored
//! V<id> at=… soft=… hard=… ver=… sum=… absent=0 tags=category:3,product:1⏎body   a value
//! V<id> at=… … tags=category:3,product:1 schema=2 zip=lz4 stamp=742:745:743⏎body a value with a schema, compressed, with a stamp
//! ```
//!
//! `<id>` has 32 hex digits and is new for every load; `at` is Redis' own time in ms since 1970; `soft` and `hard` are
//! TTLs in ms counted from `at` (`soft=0`: invalidated softly); `ver` is the row's version or `-`; `sum` is the body's
//! [`Digest`](crate::loader::Digest), or `-` for a negative entry; `schema` is the schema number of the cache's
//! [`Values`](crate::Values), and is omitted if it is 0; `stamp` is the loader's description of the state that it read.
//! The header is text, so `redis-cli GET` shows it. The body follows as stored, and is served without decoding.

mod header;

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::codec::{CodecError, Decode, Json};
use crate::loader::Content;
use crate::outcome::Outcome;
use crate::values::decompressed;

/// Length of `V<id>` and `L<id>`, which the scripts compare.
pub(crate) const TOKEN_LEN: usize = 33;

/// The content of a key.
#[derive(Debug, Clone)]
pub(crate) enum StoredValue {
    /// A client's lease.
    Lease,
    /// A value.
    Value(StoredEntry),
    /// Bytes that this version cannot read.
    Unreadable,
}

/// A stored value, with a parsed header and an untouched body.
#[derive(Debug, Clone)]
pub(crate) struct StoredEntry {
    raw: Bytes,
    body: usize,
    digest: (usize, usize),
    tags: (usize, usize),
    /// Empty if the entry has no stamp.
    stamp: (usize, usize),
    /// The schema of the value.
    pub(crate) schema: u32,
    is_compressed: bool,
    /// Redis' time of the fill, in ms since 1970.
    pub(crate) at: u64,
    /// The entry is fresh for this many ms after `at`.
    pub(crate) soft: u64,
    /// The entry is removed this many ms after `at`.
    pub(crate) hard: u64,
    /// The version of the row, when the value is one row.
    pub(crate) version: Option<u64>,
    pub(crate) absent: bool,
}

/// The result of a read of a cache of `T`. The value is decoded only by [`value`](Self::value).
pub struct Cached<T, C = Json> {
    pub(crate) entry: CachedEntry,
    value: PhantomData<fn() -> (T, C)>,
}

/// A stored entry that cannot be decoded.
#[derive(Debug)]
pub(crate) struct Undecodable {
    pub(crate) id: Arc<[u8]>,
    pub(crate) error: CodecError,
}

/// The result of a read, without the type of the value.
#[derive(Clone, Debug)]
pub(crate) struct CachedEntry {
    content: CachedContent,
    pub(crate) version: Option<u64>,
    age_ms: u64,
    pub(crate) ttl_ms: i64,
    pub(crate) hard_ttl_ms: u64,
    pub(crate) outcome: Outcome,
}

/// The value that a read has returned.
#[derive(Clone, Debug)]
enum CachedContent {
    /// Its parts are taken from the stored bytes when they are asked for: most hits need only some of them.
    Stored(StoredEntry),
    Loaded {
        body: Option<Bytes>,
        digest: Option<String>,
        stamp: Option<Box<str>>,
        /// The id under which it was stored.
        id: Option<String>,
    },
}

impl StoredValue {
    /// Parses what a key holds.
    pub(crate) fn parse(raw: Bytes) -> Self {
        match Self::parse_header(raw) {
            Self::Value(entry) if entry.is_compressed => entry.decompressed().map_or(Self::Unreadable, Self::Value),
            held => held,
        }
    }

    /// Parses the bytes under a key. The body may be missing.
    pub(crate) fn parse_header(raw: Bytes) -> Self {
        match raw.first() {
            Some(b'L')
                if raw.len() == TOKEN_LEN || raw.get(TOKEN_LEN..).is_some_and(|rest| rest.starts_with(b" least=")) =>
            {
                Self::Lease
            }
            Some(b'V') => StoredEntry::parse(raw).map_or(Self::Unreadable, Self::Value),
            _ => Self::Unreadable,
        }
    }
}

impl StoredEntry {
    /// Returns the entry as if it had been stored without compression.
    fn decompressed(self) -> Option<Self> {
        let body = decompressed(&self.raw[self.body..])?;
        let raw = [&self.raw[..self.body], &body].concat().into();
        Some(Self { raw, is_compressed: false, ..self })
    }

    /// Returns `V<id>`: what the key must still hold when this value is replaced.
    pub(crate) fn token(&self) -> Bytes {
        self.raw.slice(..TOKEN_LEN)
    }

    /// Returns the unique id of this value, 32 hex digits.
    pub(crate) fn id(&self) -> &[u8] {
        &self.raw[1..TOKEN_LEN]
    }

    /// Returns a copy that shares no memory with this one.
    pub(crate) fn deep_copy(&self) -> Self {
        Self { raw: Bytes::copy_from_slice(&self.raw), ..self.clone() }
    }

    /// Returns the length of the stored bytes.
    pub(crate) fn len(&self) -> usize {
        self.raw.len()
    }

    pub(crate) fn digest(&self) -> &[u8] {
        &self.raw[self.digest.0..self.digest.1]
    }

    /// Returns the stored body; it shares the memory of the reply.
    pub(crate) fn body(&self) -> Bytes {
        self.raw.slice(self.body..)
    }

    pub(crate) fn tags(&self) -> impl Iterator<Item = &str> {
        let tags = &self.raw[self.tags.0..self.tags.1];
        std::str::from_utf8(tags).unwrap_or_default().split(',').filter(|tag| !tag.is_empty())
    }

    /// Returns the loader's description of the state that it read.
    pub(crate) fn stamp(&self) -> Option<&str> {
        let stamp = &self.raw[self.stamp.0..self.stamp.1];
        std::str::from_utf8(stamp).ok().filter(|stamp| !stamp.is_empty())
    }

    /// Returns the milliseconds since the fill.
    pub(crate) fn age(&self, now: u64) -> u64 {
        now.saturating_sub(self.at)
    }

    /// Returns whether the entry is within its soft TTL. A softly invalidated entry is never fresh, not even in the
    /// millisecond of its fill, and not even for a process whose estimate of Redis' time lags behind.
    pub(crate) fn is_fresh(&self, now: u64) -> bool {
        self.age(now) < self.soft
    }

    /// Returns the outcome of a read that takes this entry although it is not fresh.
    pub(crate) fn stale_outcome(&self, now: u64) -> Outcome {
        if self.age(now) < self.hard { Outcome::Stale } else { Outcome::StaleIfError }
    }

    /// Returns the remaining freshness in milliseconds; negative once the entry is stale.
    pub(crate) fn ttl(&self, now: u64) -> i64 {
        // Another program may have written any number under the key, also one that does not fit an `i64`.
        let signed = |ms: u64| i64::try_from(ms).unwrap_or(i64::MAX);
        signed(self.soft) - signed(self.age(now))
    }
}

impl CachedEntry {
    pub(crate) fn from_stored(entry: StoredEntry, now: u64, outcome: Outcome) -> Self {
        Self {
            version: entry.version,
            age_ms: entry.age(now),
            ttl_ms: entry.ttl(now),
            hard_ttl_ms: entry.hard.saturating_sub(entry.age(now)),
            outcome,
            content: CachedContent::Stored(entry),
        }
    }

    pub(crate) fn from_loaded(loaded: &Content, outcome: Outcome) -> Self {
        let digest = loaded.digest.map(|digest| digest.to_string());
        Self {
            content: CachedContent::Loaded { body: loaded.body.clone(), digest, stamp: loaded.stamp.clone(), id: None },
            version: loaded.version,
            age_ms: 0,
            ttl_ms: 0,
            hard_ttl_ms: 0,
            outcome,
        }
    }

    /// Returns the loader's description of the state that it read.
    pub(crate) fn stamp(&self) -> Option<&str> {
        match &self.content {
            CachedContent::Stored(entry) => entry.stamp(),
            CachedContent::Loaded { stamp, .. } => stamp.as_deref(),
        }
    }

    /// Returns the stored entry, if this was not loaded by the reader.
    pub(crate) fn stored_entry(&self) -> Option<&StoredEntry> {
        match &self.content {
            CachedContent::Stored(entry) => Some(entry),
            CachedContent::Loaded { .. } => None,
        }
    }

    /// Records that the loaded value was stored under this id, with these soft and hard TTLs.
    pub(crate) fn set_stored_id(&mut self, stored_id: &impl fmt::Display, (soft, hard): (u64, u64)) {
        (self.ttl_ms, self.hard_ttl_ms) = (soft as i64, hard);
        if let CachedContent::Loaded { id, .. } = &mut self.content {
            *id = Some(stored_id.to_string());
        }
    }
}

impl<T, C> Cached<T, C> {
    pub(crate) fn new(entry: CachedEntry) -> Self {
        Self { entry, value: PhantomData }
    }

    /// Returns the stored bytes, without copying them; `None` for a negative entry.
    pub fn body(&self) -> Option<Bytes> {
        match &self.entry.content {
            CachedContent::Stored(entry) => (!entry.absent).then(|| entry.body()),
            CachedContent::Loaded { body, .. } => body.clone(),
        }
    }

    /// Returns the value, decoded; `None` for a negative entry.
    ///
    /// # Errors
    /// Returns an error when the body does not encode a `T`.
    pub fn value(&self) -> Result<Option<T>, CodecError>
    where
        C: Decode<T>,
    {
        self.body().map(|body| C::decode(&body)).transpose()
    }

    /// Returns the value, or the reason why a stored entry cannot be decoded.
    ///
    /// # Errors
    /// Returns an error when a value that this process has loaded cannot be decoded.
    pub(crate) fn decoded(&self) -> Result<Result<Option<T>, Undecodable>, CodecError>
    where
        C: Decode<T>,
    {
        match (self.value(), self.entry.stored_entry()) {
            (Err(error), Some(entry)) => Ok(Err(Undecodable { id: entry.id().into(), error })),
            (value, _) => value.map(Ok),
        }
    }

    /// Returns the version of the row, when the value is one row.
    pub fn version(&self) -> Option<u64> {
        self.entry.version
    }

    /// Returns the [`Digest`](crate::loader::Digest) of the body, as stored with it; `None` for a negative entry.
    pub fn digest(&self) -> Option<&str> {
        match &self.entry.content {
            CachedContent::Stored(entry) if entry.absent => None,
            CachedContent::Stored(entry) => std::str::from_utf8(entry.digest()).ok(),
            CachedContent::Loaded { digest, .. } => digest.as_deref(),
        }
    }

    /// Returns the loader's description of the state that it read ([`NewEntry::stamp`](crate::NewEntry::stamp)).
    pub fn stamp(&self) -> Option<&str> {
        self.entry.stamp()
    }

    /// Returns the unique id of the fill, 32 hex digits; `None` when the value is not in the cache.
    pub fn id(&self) -> Option<&str> {
        match &self.entry.content {
            CachedContent::Stored(entry) => std::str::from_utf8(entry.id()).ok(),
            CachedContent::Loaded { id, .. } => id.as_deref(),
        }
    }

    /// Returns the time since the value was stored, by Redis' clock.
    pub fn age(&self) -> Duration {
        Duration::from_millis(self.entry.age_ms)
    }

    /// Returns the remaining freshness in milliseconds; negative once the value is stale.
    pub fn ttl_ms(&self) -> i64 {
        self.entry.ttl_ms
    }

    /// Returns the milliseconds until the entry is removed; 0 when the value is not in the cache.
    pub fn hard_ttl_ms(&self) -> u64 {
        self.entry.hard_ttl_ms
    }

    /// Returns the source of the value.
    pub fn outcome(&self) -> Outcome {
        self.entry.outcome
    }
}

impl<T, C> Clone for Cached<T, C> {
    fn clone(&self) -> Self {
        Self::new(self.entry.clone())
    }
}

impl<T, C> fmt::Debug for Cached<T, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.entry, f)
    }
}

#[cfg(test)]
mod tests;
