//! Parses the replies of Redis into entries.

use fred::error::{Error, ErrorKind};
use fred::types::Value;
use uuid::Uuid;

use crate::event::epoch_of;

/// An entry, as Redis delivered it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Entry {
    /// The id of the entry, for the acknowledgement.
    pub(super) id: String,
    /// The number in the id: the number of the event.
    pub(super) seq: u64,
    /// The number of the preceding entry in the stream, if it was queried; 0 if there is none.
    pub(super) before: Option<u64>,
    /// The content of the entry.
    pub(super) body: Body,
}

impl Entry {
    /// Returns the epoch in the event.
    pub(super) fn epoch(&self) -> Option<Uuid> {
        match &self.body {
            Body::Event(json) => epoch_of(json),
            Body::Foreign | Body::Gone => None,
        }
    }
}

/// The content of an entry.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Body {
    /// The value of the field `event`.
    Event(Vec<u8>),
    /// The entry has no field `event`.
    Foreign,
    /// The entry was deleted after its delivery.
    Gone,
}

/// Parses the reply of XREAD or XREADGROUP for one stream. The result is empty if no event arrived before the timeout.
pub(super) fn entries(reply: Value) -> Result<Vec<Entry>, Error> {
    let rows = match reply {
        Value::Null => return Ok(Vec::new()),
        Value::Map(map) => map.inner().into_values().next().unwrap_or(Value::Null),
        other => array(array(other)?.into_iter().next().unwrap_or(Value::Null))?.pop().unwrap_or(Value::Null),
    };
    let entry = |row: Value| match <[Value; 2]>::try_from(array(row)?) {
        Ok([id, fields]) => entry(id, None, fields),
        Err(_) => Err(unexpected("an entry is not an id and fields")),
    };
    array(rows)?.into_iter().map(entry).collect()
}

/// Parses the reply of the script `claim.lua`.
pub(super) fn parse_claimed(reply: Value) -> Result<Vec<Entry>, Error> {
    let entry = |row: Value| match <[Value; 3]>::try_from(array(row)?) {
        Ok([id, before, fields]) => entry(id, Some(before.as_u64().unwrap_or(0)), fields),
        Err(_) => Err(unexpected("a claimed entry has other parts")),
    };
    array(reply)?.into_iter().map(entry).collect()
}

/// Returns the number in an id such as `12-0`.
pub(super) fn number(id: &str) -> Option<u64> {
    id.split('-').next()?.parse().ok()
}

fn entry(id: Value, before: Option<u64>, fields: Value) -> Result<Entry, Error> {
    let id = id.into_string().ok_or_else(|| unexpected("an id is not text"))?;
    let seq = number(&id).ok_or_else(|| unexpected("an id is not a number"))?;
    Ok(Entry { id, seq, before, body: body(fields)? })
}

fn body(fields: Value) -> Result<Body, Error> {
    if matches!(fields, Value::Null | Value::Boolean(false)) {
        return Ok(Body::Gone);
    }
    let fields = array(fields)?;
    let field = fields.chunks_exact(2).find(|pair| pair[0].as_bytes() == Some(b"event"));
    Ok(field.and_then(|pair| pair[1].as_bytes()).map_or(Body::Foreign, |json| Body::Event(json.to_vec())))
}

fn array(value: Value) -> Result<Vec<Value>, Error> {
    match value {
        Value::Array(values) => Ok(values),
        Value::Null => Ok(Vec::new()),
        other => Err(unexpected(&format!("{:?} where a list should be", other.kind()))),
    }
}

fn unexpected(what: &str) -> Error {
    Error::new(ErrorKind::Parse, format!("the stream's reply cannot be read: {what}"))
}

#[cfg(test)]
mod tests {
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
}
