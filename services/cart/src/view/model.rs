//! A cart with current prices: its lines and its totals.
//!
//! Amounts count what can be bought: of 10 pieces where 3 are in stock, 3 are counted. Products that are sold out, no
//! longer sold or unknown are not counted. An amount that does not fit into 64 bits is `null`, because no amount is
//! better than a wrong one.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

/// A line states the stock if it is at most this number, or less than the cart wants.
pub const LOW_STOCK: i32 = 5;

/// A cart with prices.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct View {
    /// The id of the cart.
    pub id: Uuid,
    /// The time of creation.
    pub created_at: DateTime<Utc>,
    /// The lines, in the order of the products.
    pub lines: Vec<ViewLine>,
    /// The totals of what can be bought.
    pub totals: Totals,
    /// Whether any line is stale.
    pub stale: bool,
}

/// A line with prices.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ViewLine {
    /// The id of the product.
    pub product_id: i64,
    /// The name; `null` if it was never known.
    pub name: Option<String>,
    /// Pieces in the cart.
    pub quantity: i32,
    /// The current or the last known price of one piece; `null` if it is unknown.
    pub price_cents: Option<i64>,
    /// The price of one piece when the product was put into the cart.
    pub added_price_cents: i64,
    /// The price change, `null` if the price is the same.
    pub price_changed: Option<PriceChange>,
    /// Whether it can be bought.
    pub availability: Availability,
    /// How many of the pieces can be bought now.
    pub buyable: i32,
    /// The price of these pieces; `null` if it does not fit into 64 bits.
    pub line_total_cents: Option<i64>,
    /// The version of the product that is shown; `null` if nothing is known of it.
    pub product_version: Option<i64>,
    /// The version of the line: 1 at first, incremented by every change.
    pub version: i64,
    /// Whether the data of the product may be outdated.
    pub stale: bool,
}

/// The price has changed since the product was put into the cart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PriceChange {
    /// The price then.
    pub from: i64,
    /// The price now.
    pub to: i64,
}

/// Whether a product can be bought.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum Availability {
    /// The wanted number of pieces is in stock.
    InStock,
    /// Few pieces are left, or fewer than are wanted.
    OnlyLeft {
        /// Pieces in stock.
        left: i32,
    },
    /// No piece is left.
    SoldOut,
    /// The product is no longer sold. The line stays, and is not counted.
    NoLongerSold,
    /// Nothing is known of the product at the moment.
    Unknown,
}

/// The totals of what can be bought.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Totals {
    /// Lines of which at least one piece can be bought.
    pub lines: usize,
    /// Pieces that can be bought.
    pub pieces: i64,
    /// The price of these pieces; `null` if it does not fit into 64 bits.
    pub total_cents: Option<i64>,
}
