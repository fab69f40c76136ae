//! Stored values: bytes that another program has stored may be refused, and never end this one.
#![no_main]

use std::collections::BTreeMap;

use cache::codec::{Decode, Encode, Json, MessagePack, Postcard};
use libfuzzer_sys::fuzz_target;
use serde::{Deserialize, Serialize};

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Value {
    id: u64,
    name: Option<String>,
    prices: Vec<(i32, Kind)>,
    more: BTreeMap<String, Value>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum Kind {
    Plain,
    Reduced { cents: i64 },
}

fuzz_target!(|bytes: &[u8]| {
    round_trip::<Json>(bytes);
    round_trip::<MessagePack>(bytes);
    round_trip::<Postcard>(bytes);
    cache::fuzzing::compression(bytes);
});

fn round_trip<C: Encode<Value> + Decode<Value>>(bytes: &[u8]) {
    let Ok(value) = C::decode(bytes) else { return };
    let encoded = C::encode(&value).expect("a decoded value has an encoding");
    assert_eq!(C::decode(&encoded).ok(), Some(value), "{bytes:?}");
}
