//! What the fuzz targets of `fuzz/` see of this crate's private parts. Compiled only with `--cfg fuzzing`.

use std::sync::Arc;

use bytes::Bytes;

use crate::entry::{Cached, CachedEntry, StoredValue};
use crate::loader::Content;
use crate::outcome::Outcome;
use crate::redis::compare_with_library;
use crate::values::{Values, decompressed};

/// A time that no clock will show, in ms since 1970.
const FAR_FUTURE: u64 = 1 << 62;

/// Parses what a server may send.
///
/// # Panics
/// Panics if the values of several entries are not those that the client library reads.
pub fn reply(bytes: &[u8]) {
    compare_with_library(bytes);
}

/// Parses what a key may hold, and looks at every part of it.
pub fn entry(raw: &[u8]) {
    let StoredValue::Value(entry) = StoredValue::parse(Bytes::copy_from_slice(raw)) else { return };
    assert_eq!(entry.token().slice(1..), entry.id(), "the token is V and the id");
    let tags: Vec<&str> = entry.tags().collect();
    for tag in &tags {
        assert!(!tag.is_empty() && !tag.contains([',', ' ', '\n']), "{tag:?} cannot be stored");
    }
    let copy = entry.deep_copy();
    assert!(copy.tags().eq(tags) && copy.body() == entry.body() && copy.stamp() == entry.stamp());
    for now in [0, entry.at, entry.at.saturating_add(entry.soft), u64::MAX].map(|now| now.min(FAR_FUTURE)) {
        assert!(!(entry.is_fresh(now) && entry.ttl(now) <= 0), "a fresh entry has time left");
        let outcome = if entry.is_fresh(now) { Outcome::Hit } else { entry.stale_outcome(now) };
        let read = Cached::<serde_json::Value>::new(CachedEntry::from_stored(entry.clone(), now, outcome));
        assert_eq!(read.body().is_none(), entry.absent);
        let _ = (read.digest(), read.id(), read.stamp(), read.age(), read.ttl_ms(), read.hard_ttl_ms(), read.value());
    }
}

/// Decompresses any bytes, and compresses them and takes them back.
///
/// # Panics
/// Panics if the value that comes back is another one, or if few bytes become a very long value.
pub fn compression(bytes: &[u8]) {
    if let Some(value) = decompressed(bytes) {
        assert!(value.len() <= bytes.len() * 256, "{} bytes became {}", bytes.len(), value.len());
    }
    let content = Content { body: Some(Bytes::copy_from_slice(bytes)), ..Content::absent() };
    let packed = Values::new().compress_above(0).pack(&content).expect("there is no limit").into_owned();
    let stored = packed.body.expect("a body stays one");
    let back = if packed.is_compressed { decompressed(&stored).map(Arc::from) } else { Some(Arc::from(&stored[..])) };
    assert_eq!(back.as_deref(), Some(bytes));
}
