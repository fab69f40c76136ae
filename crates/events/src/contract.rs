//! What an event says, on the wire.
//!
//! An event is one JSON object: an envelope, and what happened. It can grow in two ways. New fields and new types may
//! come at any time; who does not know a field ignores it, who does not know a type sets the event aside. A change
//! that an old reader would misunderstand raises `schema`, and an old reader does not try.

use chrono::{DateTime, Utc};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};
use utoipa::ToSchema;
use uuid::Uuid;

/// The newest schema that this crate reads and the one that it writes.
pub const SCHEMA: u32 = 1;

/// A committed change: the envelope, and around it what happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Event<T> {
    /// Tells this event from every other one.
    pub event_id: Uuid,
    /// Its place in the order of all events of its stream: 1, 2, 3, … without holes.
    pub seq: u64,
    /// See [`SCHEMA`].
    #[serde(default = "first_schema")]
    pub schema: u32,
    /// The epoch in which it was numbered: with `seq` it identifies the event, and every event before it. Absent from
    /// events of before there were epochs. See [`crate::log::LogPosition`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epoch: Option<Uuid>,
    /// When the row was written, by the database's clock.
    pub occurred_at: DateTime<Utc>,
    /// The trace that the write belonged to (W3C Trace Context), where it had one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
    /// What happened.
    #[serde(flatten)]
    pub change: T,
}

fn first_schema() -> u32 {
    1
}

/// A kind of change that a stream carries.
pub trait EventData: DeserializeOwned + Clone + std::fmt::Debug + Send + Sync + 'static {
    /// The values of `type` that it knows.
    const TYPES: &'static [&'static str];
}

/// A product or a category has changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ProductChange {
    /// What happened.
    #[serde(rename = "type")]
    pub kind: ProductChangeKind,
    /// The product; absent for a category.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub product_id: Option<i64>,
    /// The version of the row after the change; of a deleted row, the last one it had.
    pub version: i64,
    /// The category, now.
    pub category_id: i64,
    /// The category before, where it is another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous_category_id: Option<i64>,
    /// The columns that differ.
    #[serde(default)]
    pub changed: Vec<String>,
}

/// What happened to a product or a category.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[expect(missing_docs, reason = "the names say it")]
pub enum ProductChangeKind {
    #[serde(rename = "product.created")]
    ProductCreated,
    #[serde(rename = "product.updated")]
    ProductUpdated,
    #[serde(rename = "product.deleted")]
    ProductDeleted,
    /// Also a category that was created or deleted.
    #[serde(rename = "category.updated")]
    CategoryUpdated,
}

impl ProductChangeKind {
    /// The value of `type`.
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

/// The name under which everybody but its owner knows a cart: the beginning of the SHA-256 of its id.
///
/// Who knows a cart's id may read and change it, so the id stands in no event, no key, no feed and no log. An id has 122
/// random bits: nobody finds it by trying out what gives a known reference.
pub fn cart_reference(id: Uuid) -> Uuid {
    let hash = Sha256::digest(id.as_bytes());
    let mut reference = [0; 16];
    reference.copy_from_slice(&hash[..16]);
    Uuid::from_bytes(reference)
}

/// A product was put into a cart, or taken out of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CartChange {
    /// What happened.
    #[serde(rename = "type")]
    pub kind: CartChangeKind,
    /// The cart's [reference](cart_reference), not its id.
    pub cart_id: Uuid,
    /// The product.
    pub product_id: i64,
    /// Pieces of it in the cart now; 0 when it was taken out.
    pub quantity: i32,
    /// The version of the line: 1, and one more with every change, also across removals.
    pub version: i64,
}

/// What happened to a line of a cart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[expect(missing_docs, reason = "the names say it")]
pub enum CartChangeKind {
    /// Also a new quantity.
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

/// Why a message is not an event that this reader can act upon.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// It is not an event at all.
    #[error("malformed: {0}")]
    Malformed(String),
    /// It is of a type that this reader does not know; by contract it may be left out.
    #[error("unknown type: {0}")]
    UnknownType(String),
    /// It is of a later schema; what it means cannot be known.
    #[error("schema {0} is newer than {SCHEMA}")]
    NewerSchema(u32),
}

impl<T: EventData> Event<T> {
    /// Reads an event from its JSON.
    ///
    /// # Errors
    /// When it cannot be acted upon; see [`Unreadable`] for what each means.
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

/// The epoch that an event says it is of, whatever else it says.
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
    fn an_event_with_fields_of_a_later_day_can_be_read() {
        let event = ProductEvent::parse(EVENT.as_bytes()).expect("unknown fields are ignored");
        assert_eq!((event.seq, event.schema, event.change.kind), (12, 1, ProductChangeKind::ProductUpdated));
        assert_eq!((event.change.product_id, event.change.version), (Some(1), 2));
    }

    #[test]
    fn what_is_written_can_be_read() {
        let event = ProductEvent::parse(EVENT.as_bytes()).expect("an event");
        let json = serde_json::to_vec(&event).expect("plain data");
        assert_eq!(ProductEvent::parse(&json), Ok(event));
    }

    #[test]
    fn what_cannot_be_read_says_why() {
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
