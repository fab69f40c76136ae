//! The format of an event.
//!
//! An event is one JSON object: an envelope and the change. The format evolves in two ways. New fields and new types
//! may appear at any time: a reader ignores an unknown field, and writes an event of an unknown type to the dead
//! letters. A change that an old reader would misunderstand raises `schema`, and an old reader does not parse such an
//! event.

use chrono::{DateTime, Utc};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use trace_context::TraceParent;
use uuid::Uuid;

/// The newest schema that this crate reads, and the schema that it writes.
pub const SCHEMA: u32 = 1;

/// A committed change, with its envelope.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event<T> {
    /// The unique id of this event.
    pub event_id: Uuid,
    /// The number of this event in the order of all events of its stream: 1, 2, 3, … without gaps.
    pub seq: u64,
    /// The schema of the event; see [`SCHEMA`].
    #[serde(default = "first_schema")]
    pub schema: u32,
    /// The epoch in which the event was numbered: together with `seq` it identifies the event and every event before
    /// it. Absent from events that are older than the introduction of epochs. See [`crate::log::LogPosition`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epoch: Option<Uuid>,
    /// When the row was written, by the database's clock.
    pub occurred_at: DateTime<Utc>,
    /// The trace of the write (W3C Trace Context), if it had one.
    /// An invalid one counts as absent.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "trace_context::lenient")]
    pub traceparent: Option<TraceParent>,
    /// The change.
    #[serde(flatten)]
    pub change: T,
}

fn first_schema() -> u32 {
    1
}

/// The payload of a stream's events. Every type with these traits is one; the field `type` names the kind of event.
pub trait EventData: DeserializeOwned + Clone + std::fmt::Debug + Send + Sync + 'static {}

impl<T: DeserializeOwned + Clone + std::fmt::Debug + Send + Sync + 'static> EventData for T {}

/// Why a reader cannot process a message as an event.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// The message is not an event.
    #[error("malformed: {0}")]
    Malformed(String),
    /// The reader does not know this type; by contract, it may skip the event.
    #[error("unknown type: {0}")]
    UnknownType(String),
    /// The event has a newer schema; its meaning is unknown.
    #[error("schema {0} is newer than {SCHEMA}")]
    NewerSchema(u32),
}

impl<T: EventData> Event<T> {
    /// Parses an event from its JSON. `types` are the values of `type` that `T` supports.
    ///
    /// # Errors
    /// Returns an error if the event cannot be processed; see [`Unreadable`] for the reasons.
    pub fn parse(json: &[u8], types: &[&str]) -> Result<Self, Unreadable> {
        let malformed = |error: serde_json::Error| Unreadable::Malformed(error.to_string());
        let value: Value = serde_json::from_slice(json).map_err(malformed)?;
        let schema = value.get("schema").and_then(Value::as_u64).unwrap_or(1);
        if schema > u64::from(SCHEMA) {
            return Err(Unreadable::NewerSchema(u32::try_from(schema).unwrap_or(u32::MAX)));
        }
        match value.get("type").and_then(Value::as_str) {
            Some(kind) if !types.contains(&kind) => Err(Unreadable::UnknownType(kind.to_owned())),
            _ => serde_json::from_value(value).map_err(malformed),
        }
    }
}

/// Returns the epoch in an event, and ignores its other fields.
pub(crate) fn epoch_of(json: &[u8]) -> Option<Uuid> {
    #[derive(Deserialize)]
    struct Numbered {
        epoch: Option<Uuid>,
    }
    serde_json::from_slice::<Numbered>(json).ok()?.epoch
}

/// The Redis keys of one kind of events, and the types among them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventSource {
    /// The durable stream, which consumers read.
    pub stream: &'static str,
    /// The Pub/Sub channel that carries the same events to its current subscribers; not every stream has one.
    pub channel: Option<&'static str>,
    /// The values of `type` that this process knows. A consumer writes an event of another type to the dead letters.
    pub types: &'static [&'static str],
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    struct Change {
        #[serde(rename = "type")]
        kind: String,
        order_id: i64,
        version: i64,
    }

    const EVENT: &str = r#"{"event_id":"01936f2e-7b3c-7000-8000-000000000000","seq":12,"type":"order.updated",
        "order_id":1,"version":2,"occurred_at":"2026-11-22T10:00:00Z","traceparent":"00-0-0-00","invented_later":true}"#;

    fn parse(json: &str) -> Result<Event<Change>, Unreadable> {
        Event::parse(json.as_bytes(), &["order.created", "order.updated"])
    }

    #[test]
    fn event_with_unknown_fields_is_parsed() {
        let event = parse(EVENT).expect("unknown fields are ignored");
        assert_eq!((event.seq, event.schema, event.change.kind.as_str()), (12, 1, "order.updated"));
        assert_eq!((event.change.order_id, event.change.version), (1, 2));
    }

    #[test]
    fn serialised_event_is_parsed_again() {
        let event = parse(EVENT).expect("an event");
        let json = serde_json::to_string(&event).expect("plain data");
        assert_eq!(parse(&json), Ok(event));
    }

    #[test]
    fn unreadable_event_reports_the_reason() {
        let changed = |from: &str, to: &str| parse(&EVENT.replace(from, to)).expect_err(to);
        assert_eq!(changed("order.updated", "order.eaten"), Unreadable::UnknownType("order.eaten".to_owned()));
        assert_eq!(changed("\"seq\":12", "\"seq\":12,\"schema\":2"), Unreadable::NewerSchema(2));
        for (from, to) in
            [("\"version\":2", "\"version\":\"2\""), ("\"seq\":12,", ""), ("{", "["), ("\"type\"", "\"t\"")]
        {
            assert!(matches!(changed(from, to), Unreadable::Malformed(_)), "{to}");
        }
    }
}
