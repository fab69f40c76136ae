//! The bytes under an entry's key in Redis.
//!
//! ```text
//! L<id>                                                                    a lease: a load or a write is in flight
//! L<id> least=3                                                            a lease: only version 3 or later is stored
//! V<id> at=… soft=… hard=… ver=… sum=… absent=0 tags=category:3,product:1⏎body   a value
//! ```
//!
//! `<id>` has 32 hex digits and is new for every load; `at` is Redis' own time in ms since 1970; `soft` and `hard` are
//! TTLs in ms counted from `at` (`soft=0`: invalidated softly); `ver` is the row's version or `-`; `sum` is the body's
//! [`Digest`](crate::Digest), or `-` for a negative entry. The header is text, so `redis-cli GET` shows it. The body
//! follows as stored, and is served without decoding.

use bytes::Bytes;
use std::fmt::Write as _;

use crate::{NewEntry, Tag};

/// Length of `V<id>` and `L<id>`, which the scripts compare.
const TOKEN_LEN: usize = 33;

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
    /// Redis' time of the fill, in ms since 1970.
    pub(crate) at: u64,
    /// The entry is fresh for this many ms after `at`.
    pub(crate) soft: u64,
    /// The entry is removed this many ms after `at`.
    pub(crate) hard: u64,
    /// The version of the row, when the value is one row.
    pub(crate) version: Option<u64>,
    /// Whether it is a negative entry.
    pub(crate) absent: bool,
}

impl StoredValue {
    pub(crate) fn parse(raw: Bytes) -> Self {
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
    /// Parses the header in one pass, because every hit does this.
    fn parse(raw: Bytes) -> Option<Self> {
        let end = memchr::memchr(b'\n', &raw)?;
        let mut header = Header(raw.get(TOKEN_LEN..end)?);
        let at = header.number(b" at=")?;
        let soft = header.number(b" soft=")?;
        let hard = header.number(b" hard=")?;
        let version = match header.strip(b" ver=-") {
            Some(()) => None,
            None => Some(header.number(b" ver=")?),
        };
        header.strip(b" sum=")?;
        let start = end - header.0.len();
        header.0 = &header.0[memchr::memchr(b' ', header.0)?..];
        let digest = (start, end - header.0.len());
        let absent = header.number(b" absent=")? == 1;
        header.strip(b" tags=")?;
        let tags = (end - header.0.len(), end);
        Some(Self { body: end + 1, digest, tags, at, soft, hard, version, absent, raw })
    }

    /// Returns `V<id>`: what the key must still hold when this value is replaced.
    pub(crate) fn token(&self) -> Bytes {
        self.raw.slice(..TOKEN_LEN)
    }

    /// Returns the unique id of this value, 32 hex digits.
    pub(crate) fn id(&self) -> Bytes {
        self.raw.slice(1..TOKEN_LEN)
    }

    /// Returns the body's digest, as text.
    pub(crate) fn digest(&self) -> Bytes {
        self.raw.slice(self.digest.0..self.digest.1)
    }

    /// Returns the stored body; it shares the memory of the reply.
    pub(crate) fn body(&self) -> Bytes {
        self.raw.slice(self.body..)
    }

    pub(crate) fn tags(&self) -> impl Iterator<Item = &str> {
        let tags = &self.raw[self.tags.0..self.tags.1];
        std::str::from_utf8(tags).unwrap_or_default().split(',').filter(|tag| !tag.is_empty())
    }

    /// Returns the milliseconds since the fill.
    pub(crate) fn age(&self, now: u64) -> u64 {
        now.saturating_sub(self.at)
    }

    /// Returns whether the entry is within its soft TTL. A softly invalidated entry is not, at any age: not in the
    /// millisecond of its fill, and not for a process whose estimate of Redis' time lags behind.
    pub(crate) fn is_fresh(&self, now: u64) -> bool {
        self.age(now) < self.soft
    }

    /// Returns the remaining freshness in milliseconds; negative once the entry is stale.
    pub(crate) fn ttl(&self, now: u64) -> i64 {
        self.soft as i64 - self.age(now) as i64
    }
}

/// The unparsed rest of a header.
struct Header<'a>(&'a [u8]);

impl Header<'_> {
    fn strip(&mut self, name: &[u8]) -> Option<()> {
        self.0 = self.0.strip_prefix(name)?;
        Some(())
    }

    fn number(&mut self, name: &[u8]) -> Option<u64> {
        self.strip(name)?;
        let digits = self.0.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let (number, rest) = self.0.split_at(digits);
        self.0 = rest;
        let append = |sum: u64, digit: &u8| sum.checked_mul(10)?.checked_add(u64::from(digit - b'0'));
        number.iter().try_fold(0, append).filter(|_| digits > 0)
    }
}

/// Returns the header of a new value after `at=…`; the script fills in `at`, because only Redis knows its time.
pub(crate) fn header(loaded: &NewEntry, soft: u64, hard: u64) -> String {
    let mut header = format!("soft={soft} hard={hard} ver=");
    match loaded.version {
        Some(version) => write!(header, "{version}"),
        None => write!(header, "-"),
    }
    .and_then(|()| match loaded.digest {
        Some(digest) => write!(header, " sum={digest}"),
        None => write!(header, " sum=-"),
    })
    .expect("writing to a String cannot fail");
    header.push_str(if loaded.body.is_none() { " absent=1 tags=" } else { " absent=0 tags=" });
    for (i, tag) in loaded.tags.iter().map(Tag::as_str).enumerate() {
        if i > 0 {
            header.push(',');
        }
        header.push_str(tag);
    }
    header
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Digest;

    fn stored(loaded: &NewEntry) -> StoredValue {
        let id = "0123456789abcdef0123456789abcdef";
        let body = loaded.body.clone().unwrap_or_default();
        let mut raw = format!("V{id} at=1000 {}\n", header(loaded, 5_000, 9_000)).into_bytes();
        raw.extend_from_slice(&body);
        StoredValue::parse(raw.into())
    }

    #[test]
    fn value_is_parsed_as_it_was_stored() {
        let loaded = NewEntry::value("{\"a\":\n1}").version(7).tag(Tag::new("product", 1)).tag(Tag::new("category", 3));
        let StoredValue::Value(entry) = stored(&loaded) else { panic!("not a value") };
        assert_eq!(entry.body(), "{\"a\":\n1}");
        assert_eq!(entry.digest(), Digest::of(b"{\"a\":\n1}").to_string());
        assert_eq!((entry.version, entry.absent, entry.at), (Some(7), false, 1_000));
        assert_eq!(entry.tags().collect::<Vec<_>>(), ["product:1", "category:3"]);
        assert_eq!((entry.ttl(5_999), entry.ttl(6_001), entry.age(1_500)), (1, -1, 500));
        assert_eq!(entry.token(), "V0123456789abcdef0123456789abcdef");
    }

    #[test]
    fn softly_invalidated_value_is_stale_at_age_zero() {
        let raw = |soft: u64| format!("V{} at=1000 soft={soft} hard=9000 ver=- sum=- absent=0 tags=\n", "0".repeat(32));
        let is_fresh = |soft, now| match StoredValue::parse(raw(soft).into()) {
            StoredValue::Value(entry) => entry.is_fresh(now),
            _ => panic!("not a value"),
        };
        assert!([999, 1_000, 1_001].iter().all(|now| !is_fresh(0, *now)), "also by a clock that lags");
        assert!(is_fresh(1, 1_000) && !is_fresh(1, 1_001));
        assert!(is_fresh(5_000, 5_999) && !is_fresh(5_000, 6_000));
    }

    #[test]
    fn negative_entry_is_a_value_with_tags() {
        let StoredValue::Value(entry) = stored(&NewEntry::absent().tag(Tag::new("product", 1))) else {
            panic!("not a value")
        };
        assert!(entry.absent && entry.body().is_empty() && entry.version.is_none());
        assert_eq!(entry.digest(), "-");
        assert_eq!(entry.tags().collect::<Vec<_>>(), ["product:1"]);
    }

    #[test]
    fn a_value_without_tags_has_none() {
        let StoredValue::Value(entry) = stored(&NewEntry::value("x")) else { panic!("not a value") };
        assert_eq!(entry.tags().count(), 0);
    }

    #[test]
    fn leases_and_foreign_bytes_are_distinguished() {
        let lease = format!("L{}", "0".repeat(32));
        assert!(matches!(StoredValue::parse(format!("{lease} least=7").into()), StoredValue::Lease));
        assert!(matches!(StoredValue::parse(lease.into()), StoredValue::Lease));
        for foreign in ["", "L", "V", "hello", "V0123 at=1", "V0123456789abcdef0123456789abcdef at=x\n"] {
            assert!(
                matches!(StoredValue::parse(Bytes::copy_from_slice(foreign.as_bytes())), StoredValue::Unreadable),
                "{foreign}"
            );
        }
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_the_parser_panic(raw: Vec<u8>) {
            let _ = StoredValue::parse(raw.clone().into());
            let mut value = b"V0123456789abcdef0123456789abcdef".to_vec();
            value.extend(raw);
            let _ = StoredValue::parse(value.into());
        }
    }
}
