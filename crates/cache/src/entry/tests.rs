//! Parsing of stored values, of leases, and of foreign bytes.

use super::*;
use crate::keyspace::Tag;
use crate::loader::{Digest, NewEntry};

fn stored(loaded: NewEntry<()>) -> StoredValue {
    let loaded = loaded.into_content().unwrap();
    let id = "0123456789abcdef0123456789abcdef";
    let body = loaded.body.clone().unwrap_or_default();
    let mut raw = format!("V{id} at=1000 {}\n", loaded.header(5_000, 9_000, 0)).into_bytes();
    raw.extend_from_slice(&body);
    StoredValue::parse(raw.into())
}

#[test]
fn value_is_parsed_as_it_was_stored() {
    let loaded = NewEntry::raw("{\"a\":\n1}").version(7).tag(Tag::new("product", 1)).tag(Tag::new("category", 3));
    let StoredValue::Value(entry) = stored(loaded) else { panic!("not a value") };
    assert_eq!(entry.body(), "{\"a\":\n1}");
    assert_eq!(entry.digest(), Digest::of(b"{\"a\":\n1}").to_string().as_bytes());
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
    assert!([999, 1_000, 1_001].iter().all(|now| !is_fresh(0, *now)), "also when the clock of the reader lags");
    assert!(is_fresh(1, 1_000) && !is_fresh(1, 1_001));
    assert!(is_fresh(5_000, 5_999) && !is_fresh(5_000, 6_000));
}

#[test]
fn negative_entry_is_a_value_with_tags() {
    let StoredValue::Value(entry) = stored(NewEntry::absent().tag(Tag::new("product", 1))) else {
        panic!("not a value")
    };
    assert!(entry.absent && entry.body().is_empty() && entry.version.is_none());
    assert_eq!(entry.digest(), b"-");
    assert_eq!(entry.tags().collect::<Vec<_>>(), ["product:1"]);
}

#[test]
fn stamp_is_kept_apart_from_the_tags() {
    for (tags, expected) in [(vec![Tag::new("product", 1)], vec!["product:1"]), (vec![], vec![])] {
        let StoredValue::Value(entry) = stored(NewEntry::raw("x").tags(tags.clone()).stamp("742:745:743")) else {
            panic!("not a value")
        };
        assert_eq!((entry.stamp(), entry.tags().collect::<Vec<_>>()), (Some("742:745:743"), expected.clone()));
        assert_eq!(entry.body(), "x");
        let StoredValue::Value(entry) = stored(NewEntry::raw("x").tags(tags)) else { panic!("not a value") };
        assert_eq!((entry.stamp(), entry.tags().collect::<Vec<_>>()), (None, expected));
    }
    // The header is one line, and its parts are separated by spaces.
    let StoredValue::Value(entry) = stored(NewEntry::raw("x").stamp("a b\nc")) else { panic!("not a value") };
    assert_eq!((entry.stamp(), entry.body()), (Some("a_b_c"), "x".into()));
}

#[test]
fn a_value_without_tags_has_none() {
    let StoredValue::Value(entry) = stored(NewEntry::raw("x")) else { panic!("not a value") };
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

#[test]
fn times_beyond_every_clock_do_not_overflow() {
    for (at, soft, ttl) in [(0, u64::MAX, i64::MAX), (0, 1 << 63, i64::MAX), (u64::MAX, 5, 5)] {
        let raw = format!("V{} at={at} soft={soft} hard=1 ver=- sum=- absent=0 tags=\n", "0".repeat(32));
        let StoredValue::Value(entry) = StoredValue::parse(raw.into()) else { panic!("not a value") };
        assert_eq!((entry.ttl(0), entry.is_fresh(0)), (ttl, true), "{soft} after {at}");
        assert_eq!(entry.ttl(u64::MAX) > 0, at == u64::MAX, "{soft} after {at}");
    }
}

#[test]
fn schema_and_compression_are_between_the_tags_and_the_stamp() {
    let raw = |rest: &str| format!("V{} at=1 soft=1 hard=1 ver=- sum=- absent=0 tags=a:1{rest}\nbody", "0".repeat(32));
    for (rest, schema, is_compressed, stamp) in [
        ("", 0, false, None),
        (" schema=7", 7, false, None),
        (" zip=lz4", 0, true, None),
        (" schema=4294967295 zip=lz4 stamp=a:b", u32::MAX, true, Some("a:b")),
        (" schema=2 stamp=a", 2, false, Some("a")),
    ] {
        let StoredValue::Value(entry) = StoredValue::parse_header(raw(rest).into()) else { panic!("{rest:?}") };
        assert_eq!((entry.schema, entry.is_compressed, entry.stamp()), (schema, is_compressed, stamp), "{rest:?}");
        assert_eq!(entry.tags().collect::<Vec<_>>(), ["a:1"], "{rest:?}");
    }
    for rest in [" schema=4294967296", " schema=x", " zip=zstd", " other=1", " stamp=a schema=1 other=2"] {
        let held = StoredValue::parse(raw(rest).into());
        let is_stamp = rest.starts_with(" stamp=");
        assert_eq!(matches!(held, StoredValue::Unreadable), !is_stamp, "{rest:?}");
    }
}
