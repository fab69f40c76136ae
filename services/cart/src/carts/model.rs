//! Carts as the database stores them, and the input of clients.

use chrono::{DateTime, Utc};
use diesel::pg::Pg;
use diesel::prelude::*;
use garde::Validate;
use serde::{Deserialize, Serialize};
use service::caching::Validator;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::schema::{cart_items, carts};

/// A new cart.
#[derive(Clone, Debug, Serialize, ToSchema, Queryable, Selectable)]
#[diesel(table_name = carts, check_for_backend(Pg))]
pub struct NewCart {
    /// The id, which cannot be guessed.
    pub id: Uuid,
    /// The time of creation.
    pub created_at: DateTime<Utc>,
}

/// The number of pieces of a product that a cart is to hold.
#[derive(Clone, Copy, Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Quantity {
    /// 1 to 999.
    #[garde(range(min = 1, max = 999))]
    #[schema(minimum = 1, maximum = 999)]
    pub quantity: i32,
}

/// A line of a cart.
#[derive(Clone, Debug, PartialEq, Eq, Queryable, Selectable)]
#[diesel(table_name = cart_items, check_for_backend(Pg))]
pub struct Line {
    /// The id of the product.
    pub product_id: i64,
    /// Pieces of the product.
    pub quantity: i32,
    /// The price of one piece when the product was put into the cart.
    pub added_price_cents: i64,
    /// 1 at first, incremented by every change.
    pub version: i64,
}

impl Line {
    /// Returns the line's validator: its version. The version keeps counting across removals, so it never repeats.
    pub fn validator(&self) -> Validator {
        Validator::of_number(self.version)
    }
}

/// A cart with its lines, in the order of the products.
#[derive(Clone, Debug)]
pub struct Cart {
    /// The id and the time of creation.
    pub head: NewCart,
    /// The lines of the cart.
    pub lines: Vec<Line>,
}
