//! Keys, tags, ids, traces and addresses: what a client or an operator can write.
#![no_main]

use std::fmt::{Debug, Display};
use std::str::FromStr;

use cache::{Keyspace, Tag};
use contract::{CartId, CategoryId, ConsistencyToken, ProductId};
use libfuzzer_sys::fuzz_target;
use redis_connect::RedisAddress;
use trace_context::TraceParent;

fuzz_target!(|input: (u16, &str)| {
    let (partitions, text) = input;
    if let Ok(keyspace) = Keyspace::partitioned("shop", partitions % 200) {
        keys(&keyspace, text);
    }
    tags(text);
    round_trip::<ProductId>(text);
    round_trip::<CategoryId>(text);
    round_trip::<CartId>(text);
    round_trip::<ConsistencyToken>(text);
    round_trip::<TraceParent>(text);
    // A URL that names files would read them.
    if !text.contains("_file") {
        let _ = RedisAddress::parse(text);
    }
});

/// Each id has its own key, which can be parsed back. No name of the cache's own keys is one of an entry.
fn keys(keyspace: &Keyspace, text: &str) {
    let key = keyspace.key("product", text);
    assert_eq!(keyspace.parse(key.as_str()).as_ref(), Some(&key), "{text:?}");
    assert!(!key.as_str().contains(|c: char| c.is_control() || c.is_whitespace()), "{key:?}");
    let longer = keyspace.key("product", format_args!("{text}0"));
    assert_ne!(key, longer, "two ids have one key");
    if let Some(parsed) = keyspace.parse(text) {
        assert_eq!(parsed.as_str(), text);
        assert!(!parsed.local_name().starts_with('~'), "{parsed:?} is a name of the cache itself");
    }
}

/// Entries can carry every tag, and the tag can be parsed back.
fn tags(text: &str) {
    let tag = Tag::new("author", text);
    assert_eq!(Tag::parse(tag.as_str()).as_ref(), Some(&tag), "{text:?}");
    if let Some(parsed) = Tag::parse(text) {
        assert_eq!(parsed.as_str(), text);
    }
}

/// What is accepted is written as it was read, up to what the specification of a trace lets a reader ignore.
fn round_trip<T: FromStr + Display + PartialEq + Debug>(text: &str) {
    if let Ok(value) = text.parse::<T>() {
        assert_eq!(value.to_string().parse().ok(), Some(value), "{text:?}");
    }
}
