//! Change events on the channel `product:updates`: what they say, who sends them, who listens.

mod listener;
mod publisher;

pub use listener::Listener;
pub use publisher::Publisher;

use cache::Invalidation;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::catalogue::{Category, Product, Updated};
use crate::keys::{self, Lanes};

/// The Pub/Sub channel.
pub const CHANNEL: &str = "product:updates";

/// A committed change, as the world hears of it. Unknown fields are ignored, so that it can grow.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ProductEvent {
    /// Tells this event from every other one (UUID v7).
    pub event_id: Uuid,
    /// What happened.
    #[serde(rename = "type")]
    pub kind: Kind,
    /// The product; absent for a category.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub product_id: Option<i64>,
    /// The version of the row after the change.
    pub version: i64,
    /// The category, now.
    pub category_id: i64,
    /// The category before, where it is another one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub previous_category_id: Option<i64>,
    /// The fields that the writer set.
    pub changed: Vec<String>,
    /// When it was announced.
    pub occurred_at: DateTime<Utc>,
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Kind {
    #[serde(rename = "product.created")]
    ProductCreated,
    #[serde(rename = "product.updated")]
    ProductUpdated,
    #[serde(rename = "product.deleted")]
    ProductDeleted,
    #[serde(rename = "category.updated")]
    CategoryUpdated,
}

impl ProductEvent {
    /// A product was created.
    pub fn created(product: &Product) -> Self {
        Self::of(Kind::ProductCreated, product)
    }

    /// A product was changed.
    pub fn updated(updated: &Updated, changed: Vec<&'static str>) -> Self {
        let moved = updated.previous_category != updated.product.category.id;
        Self {
            previous_category_id: moved.then_some(updated.previous_category),
            changed: changed.into_iter().map(str::to_owned).collect(),
            ..Self::of(Kind::ProductUpdated, &updated.product)
        }
    }

    /// A product was deleted.
    pub fn deleted(product: &Product) -> Self {
        Self::of(Kind::ProductDeleted, product)
    }

    /// A category was changed.
    pub fn category(category: &Category) -> Self {
        Self {
            event_id: Uuid::now_v7(),
            kind: Kind::CategoryUpdated,
            product_id: None,
            version: category.version,
            category_id: category.id,
            previous_category_id: None,
            changed: Vec::new(),
            occurred_at: Utc::now(),
        }
    }

    fn of(kind: Kind, product: &Product) -> Self {
        Self {
            event_id: Uuid::now_v7(),
            kind,
            product_id: Some(product.id),
            version: product.version,
            category_id: product.category.id,
            previous_category_id: None,
            changed: Vec::new(),
            occurred_at: Utc::now(),
        }
    }
}

/// What an event outdates: the product's entry in the `events` lane by its key, what else shows it by tags.
pub fn outdated(lanes: &Lanes, event: &ProductEvent) -> Invalidation {
    let Some(product) = event.product_id.map(Into::into) else {
        return Invalidation::hard().tag(keys::category(event.category_id.into()));
    };
    let lists = [Some(event.category_id), event.previous_category_id].into_iter().flatten();
    Invalidation::hard()
        .key(lanes.events.key(product))
        .key(lanes.production.key(product))
        .tag(keys::product(product))
        .tags(lists.map(|id| keys::products_of(id.into())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_of_a_later_version_can_still_be_read() {
        let json = r#"{"event_id":"01936f2e-7b3c-7000-8000-000000000000","seq":12,"type":"product.updated","product_id":1,
            "version":2,"category_id":3,"previous_category_id":null,"changed":["price_cents"],
            "occurred_at":"2026-11-22T10:00:00Z","traceparent":"00-0-0-00","invented_later":true}"#;
        let event: ProductEvent = serde_json::from_str(json).unwrap();
        assert_eq!((event.kind, event.product_id, event.version), (Kind::ProductUpdated, Some(1), 2));
    }
}
