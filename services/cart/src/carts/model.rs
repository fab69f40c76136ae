//! Carts as the database has them, and what a client may put into one.

use chrono::{DateTime, Utc};
use diesel::pg::Pg;
use diesel::prelude::*;
use garde::Validate;
use runtime::validator::Validator;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::schema::{cart_items, carts};

/// A new cart.
#[derive(Clone, Debug, Serialize, ToSchema, Queryable, Selectable)]
#[diesel(table_name = carts, check_for_backend(Pg))]
pub struct NewCart {
    /// Its id, which nobody can guess.
    pub id: Uuid,
    /// When it was created.
    pub created_at: DateTime<Utc>,
}

/// How many pieces of a product a cart is to hold.
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
    /// The product.
    pub product_id: i64,
    /// Pieces of it.
    pub quantity: i32,
    /// The price when it was put into the cart.
    pub added_price_cents: i64,
    /// 1, and one more with every change.
    pub version: i64,
}

impl Line {
    /// The line's validator: its version, which goes on across removals and so never comes twice.
    pub fn validator(&self) -> Validator {
        Validator::of_number(self.version)
    }
}

/// A cart with its lines, by product.
#[derive(Clone, Debug)]
pub struct Cart {
    /// Itself.
    pub head: NewCart,
    /// What lies in it.
    pub lines: Vec<Line>,
}
