//! A cart with current prices: what a line says, and what the whole costs.
//!
//! Amounts count what can be bought: of 10 pieces where 3 are in stock, 3 are counted; of a product that is sold out, no
//! longer sold, or that nobody knows anything about, none. An amount that would not fit into 64 bits is left out (`null`):
//! no amount rather than a wrong one.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

/// With so many pieces in stock, or less than the cart wants, a line says how many.
pub const LOW_STOCK: i32 = 5;

/// A cart, priced.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct View {
    /// The cart.
    pub id: Uuid,
    /// When it was created.
    pub created_at: DateTime<Utc>,
    /// What lies in it, by product.
    pub lines: Vec<ViewLine>,
    /// What can be bought of it.
    pub totals: Totals,
    /// Whether any line is.
    pub stale: bool,
}

/// A line, priced.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ViewLine {
    /// The product.
    pub product_id: i64,
    /// What it is called; `null` when nobody has ever said.
    pub name: Option<String>,
    /// Pieces in the cart.
    pub quantity: i32,
    /// The price of one now, or the last one; `null` when nobody knows.
    pub price_cents: Option<i64>,
    /// The price of one when it was put into the cart.
    pub added_price_cents: i64,
    /// Where the two differ, else `null`.
    pub price_changed: Option<PriceChange>,
    /// Whether it can be bought.
    pub availability: Availability,
    /// How many of the pieces can be bought now.
    pub buyable: i32,
    /// What those cost; `null` when that is more than can be written.
    pub line_total_cents: Option<i64>,
    /// The version of the product that is shown; `null` when nothing is known of it.
    pub product_version: Option<i64>,
    /// The version of the line: 1, and one more with every change.
    pub version: i64,
    /// Whether what is said of the product may be outdated.
    pub stale: bool,
}

/// The price is another one than when the product was put into the cart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PriceChange {
    /// Then.
    pub from: i64,
    /// Now.
    pub to: i64,
}

/// Whether a product can be bought.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum Availability {
    /// As many as are wanted.
    InStock,
    /// Few are left, or fewer than are wanted.
    OnlyLeft {
        /// How many.
        left: i32,
    },
    /// None is left.
    SoldOut,
    /// There is no such product any more. The line stays, and is not counted.
    NoLongerSold,
    /// Nobody can say just now.
    Unknown,
}

/// What can be bought.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Totals {
    /// Lines of which at least one piece can be bought.
    pub lines: usize,
    /// Pieces.
    pub pieces: i64,
    /// What they cost; `null` when that is more than can be written.
    pub total_cents: Option<i64>,
}
