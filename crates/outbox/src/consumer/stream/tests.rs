//! Tests of the parsing of replies.

use std::collections::HashMap;

use super::*;

fn list(values: impl IntoIterator<Item = Value>) -> Value {
    Value::Array(values.into_iter().collect())
}

fn row(id: &str) -> Value {
    list([id.into(), list(["traceparent".into(), "00".into(), "event".into(), "{}".into()])])
}

#[test]
fn replies_of_both_resp_versions_are_parsed() {
    let rows = || list([row("7-0"), row("8-1")]);
    let map = Value::Map(HashMap::from([("stream", rows())]).try_into().unwrap());
    for reply in [map, list([list(["stream".into(), rows()])])] {
        let entries = entries(reply).unwrap();
        assert_eq!(
            entries.iter().map(|entry| (entry.id.as_str(), entry.seq)).collect::<Vec<_>>(),
            [("7-0", 7), ("8-1", 8)]
        );
        assert!(entries.iter().all(|entry| entry.body == Body::Event(b"{}".to_vec())));
    }
}

#[test]
fn timeout_of_a_read_yields_no_entries() {
    assert_eq!(entries(Value::Null).unwrap(), []);
    assert_eq!(entries(list([])).unwrap(), []);
}

#[test]
fn claimed_entry_may_be_deleted() {
    let reply = list([list(["7-0".into(), 6.into(), Value::Null])]);
    let gone = Entry { id: "7-0".to_owned(), seq: 7, before: Some(6), body: Body::Gone };
    assert_eq!(parse_claimed(reply).unwrap(), [gone]);
}

#[test]
fn invalid_stream_reply_is_an_error() {
    for reply in [Value::Integer(1), list([list(["stream".into(), list([row("no-number")])])])] {
        assert!(entries(reply).is_err());
    }
}
