//! The events of the cart.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// An addition to a cart, or a removal from it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CartChange {
    /// The kind of change.
    #[serde(rename = "type")]
    pub kind: CartChangeKind,
    /// The cart's [reference](crate::cart_reference), not its id.
    pub cart_id: Uuid,
    /// The product.
    pub product_id: i64,
    /// The number of pieces in the cart after the change; 0 after a removal.
    pub quantity: i32,
    /// The version of the line: 1, incremented with every change, also across removals.
    pub version: i64,
}

/// The kind of change of a cart line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum CartChangeKind {
    /// A line was added, or its quantity was changed.
    #[serde(rename = "cart.item_added")]
    ItemAdded,
    /// A line was removed.
    #[serde(rename = "cart.item_removed")]
    ItemRemoved,
}

impl CartChange {
    /// The stream of these events.
    pub const STREAM: &str = "cart:events";

    /// The values of `type`.
    pub const TYPES: &[&str] = &["cart.item_added", "cart.item_removed"];
}

impl CartChangeKind {
    /// Returns the value of `type`.
    pub fn name(self) -> &'static str {
        match self {
            Self::ItemAdded => "cart.item_added",
            Self::ItemRemoved => "cart.item_removed",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_is_the_name_of_a_kind() {
        for name in CartChange::TYPES {
            let kind: CartChangeKind = serde_json::from_value((*name).into()).expect(name);
            assert_eq!(kind.name(), *name);
        }
    }
}
