//! The events of the product API.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A change of a product or a category.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ProductChangeKind {
    /// A product was created.
    #[serde(rename = "product.created")]
    ProductCreated,
    /// A product was changed.
    #[serde(rename = "product.updated")]
    ProductUpdated,
    /// A product was deleted.
    #[serde(rename = "product.deleted")]
    ProductDeleted,
    /// A category was changed, created or deleted.
    #[serde(rename = "category.updated")]
    CategoryUpdated,
}

impl ProductChange {
    /// The stream of these events.
    pub const STREAM: &str = "product:events";

    /// The Pub/Sub channel that carries the same events.
    pub const CHANNEL: &str = "product:updates";

    /// The values of `type`.
    pub const TYPES: &[&str] = &["product.created", "product.updated", "product.deleted", "category.updated"];

    /// Returns the name of the changed row: `product:1` or `category:1`.
    pub fn subject(&self) -> impl fmt::Display {
        fmt::from_fn(|f| match self.product_id {
            Some(id) => write!(f, "product:{id}"),
            None => write!(f, "category:{}", self.category_id),
        })
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    const CHANGE: &str = r#"{"type":"product.updated","product_id":1,"version":2,"category_id":3,
        "previous_category_id":null,"changed":["price_cents"],"invented_later":true}"#;

    #[test]
    fn change_with_unknown_fields_is_parsed() {
        let change: ProductChange = serde_json::from_str(CHANGE).expect("unknown fields are ignored");
        assert_eq!((change.kind, change.product_id), (ProductChangeKind::ProductUpdated, Some(1)));
        assert_eq!((change.version, change.previous_category_id), (2, None));
        let json = serde_json::to_string(&change).expect("plain data");
        assert_eq!(serde_json::from_str::<ProductChange>(&json).ok(), Some(change));
    }

    #[test]
    fn every_type_is_the_name_of_a_kind() {
        for name in ProductChange::TYPES {
            let kind: ProductChangeKind = serde_json::from_value((*name).into()).expect(name);
            assert_eq!(kind.name(), *name);
        }
        assert!(serde_json::from_str::<ProductChange>(&CHANGE.replace("updated", "eaten")).is_err());
        assert!(serde_json::from_str::<ProductChange>(&CHANGE.replace("\"version\":2", "\"version\":\"2\"")).is_err());
    }

    #[test]
    fn subject_is_the_changed_row() {
        let change: ProductChange = serde_json::from_str(CHANGE).expect("a change");
        assert_eq!(change.subject().to_string(), "product:1");
        assert_eq!(ProductChange { product_id: None, ..change }.subject().to_string(), "category:3");
    }
}
