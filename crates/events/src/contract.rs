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
use sha2::{Digest, Sha256};
use utoipa::ToSchema;
use uuid::Uuid;

/// The newest schema that this crate reads, and the schema that it writes.
pub const SCHEMA: u32 = 1;

/// A committed change, with its envelope.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
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
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
    /// The change.
    #[serde(flatten)]
    pub change: T,
}

fn first_schema() -> u32 {
    1
}

/// The payload of a stream's events.
pub trait EventData: DeserializeOwned + Clone + std::fmt::Debug + Send + Sync + 'static {
    /// The values of `type` that this payload supports.
    const TYPES: &'static [&'static str];
}

/// A change of a product or a category.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ProductChange {
    /// The kind of change.
    #[serde(rename = "type")]
    pub kind: ProductChangeKind,
    /// The product; absent for a category.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub product_id: Option<i64>,
    /// The version of the row after the change; for a deleted row, its last version.
    pub version: i64,
    /// The category after the change.
    pub category_id: i64,
    /// The category before the change, if it is different.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous_category_id: Option<i64>,
    /// The columns that have changed.
    #[serde(default)]
    pub changed: Vec<String>,
}

/// The kind of change of a product or a category.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[expect(missing_docs, reason = "the names say it")]
pub enum ProductChangeKind {
    #[serde(rename = "product.created")]
    ProductCreated,
    #[serde(rename = "product.updated")]
    ProductUpdated,
    #[serde(rename = "product.deleted")]
    ProductDeleted,
    /// Also for a category that was created or deleted.
    #[serde(rename = "category.updated")]
    CategoryUpdated,
}

impl ProductChangeKind {
    /// Returns the value of `type`.
    pub fn name(self) -> &'static str {
        match self {
            Self::ProductCreated => "product.created",
            Self::ProductUpdated => "product.updated",
            Self::ProductDeleted => "product.deleted",
            Self::CategoryUpdated => "category.updated",
        }
    }
}

impl EventData for ProductChange {
    const TYPES: &'static [&'static str] =
        &["product.created", "product.updated", "product.deleted", "category.updated"];
}

/// Returns the public name of a cart: the first 16 bytes of the SHA-256 of its id.
///
/// Any client that knows the id of a cart may read and change the cart, so the id appears in no event, no key, no feed
/// and no log. An id has 122 random bits, so it cannot be found by trying ids until one results in a known reference.
pub fn cart_reference(id: Uuid) -> Uuid {
    let hash = Sha256::digest(id.as_bytes());
    let mut reference = [0; 16];
    reference.copy_from_slice(&hash[..16]);
    Uuid::from_bytes(reference)
}

/// An addition to a cart, or a removal from it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CartChange {
    /// The kind of change.
    #[serde(rename = "type")]
    pub kind: CartChangeKind,
    /// The cart's [reference](cart_reference), not its id.
    pub cart_id: Uuid,
    /// The product.
    pub product_id: i64,
    /// The number of pieces in the cart after the change; 0 after a removal.
    pub quantity: i32,
    /// The version of the line: 1, incremented with every change, also across removals.
    pub version: i64,
}

/// The kind of change of a cart line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[expect(missing_docs, reason = "the names say it")]
pub enum CartChangeKind {
    /// Also for a new quantity.
    #[serde(rename = "cart.item_added")]
    ItemAdded,
    #[serde(rename = "cart.item_removed")]
    ItemRemoved,
}

impl EventData for CartChange {
    const TYPES: &'static [&'static str] = &["cart.item_added", "cart.item_removed"];
}

/// An event about the catalogue.
pub type ProductEvent = Event<ProductChange>;

/// An event about a cart.
pub type CartEvent = Event<CartChange>;

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
    /// Parses an event from its JSON.
    ///
    /// # Errors
    /// Returns an error if the event cannot be processed; see [`Unreadable`] for the reasons.
    pub fn parse(json: &[u8]) -> Result<Self, Unreadable> {
        let malformed = |error: serde_json::Error| Unreadable::Malformed(error.to_string());
        let value: Value = serde_json::from_slice(json).map_err(malformed)?;
        let schema = value.get("schema").and_then(Value::as_u64).unwrap_or(1);
        if schema > u64::from(SCHEMA) {
            return Err(Unreadable::NewerSchema(u32::try_from(schema).unwrap_or(u32::MAX)));
        }
        match value.get("type").and_then(Value::as_str) {
            Some(kind) if !T::TYPES.contains(&kind) => Err(Unreadable::UnknownType(kind.to_owned())),
            _ => serde_json::from_value(value).map_err(malformed),
        }
    }
}

/// Returns the epoch in an event, whatever its other fields are.
pub(crate) fn epoch_of(json: &[u8]) -> Option<Uuid> {
    #[derive(Deserialize)]
    struct Numbered {
        epoch: Option<Uuid>,
    }
    serde_json::from_slice::<Numbered>(json).ok()?.epoch
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVENT: &str = r#"{"event_id":"01936f2e-7b3c-7000-8000-000000000000","seq":12,"type":"product.updated",
        "product_id":1,"version":2,"category_id":3,"previous_category_id":null,"changed":["price_cents"],
        "occurred_at":"2026-11-22T10:00:00Z","traceparent":"00-0-0-00","invented_later":true}"#;

    #[test]
    fn event_with_unknown_fields_is_parsed() {
        let event = ProductEvent::parse(EVENT.as_bytes()).expect("unknown fields are ignored");
        assert_eq!((event.seq, event.schema, event.change.kind), (12, 1, ProductChangeKind::ProductUpdated));
        assert_eq!((event.change.product_id, event.change.version), (Some(1), 2));
    }

    #[test]
    fn serialised_event_is_parsed_again() {
        let event = ProductEvent::parse(EVENT.as_bytes()).expect("an event");
        let json = serde_json::to_vec(&event).expect("plain data");
        assert_eq!(ProductEvent::parse(&json), Ok(event));
    }

    #[test]
    fn unreadable_event_reports_the_reason() {
        let changed = |from: &str, to: &str| ProductEvent::parse(EVENT.replace(from, to).as_bytes()).expect_err(to);
        assert_eq!(changed("product.updated", "product.eaten"), Unreadable::UnknownType("product.eaten".to_owned()));
        assert_eq!(changed("\"seq\":12", "\"seq\":12,\"schema\":2"), Unreadable::NewerSchema(2));
        for (from, to) in
            [("\"version\":2", "\"version\":\"2\""), ("\"seq\":12,", ""), ("{", "["), ("\"type\"", "\"t\"")]
        {
            assert!(matches!(changed(from, to), Unreadable::Malformed(_)), "{to}");
        }
    }
}
