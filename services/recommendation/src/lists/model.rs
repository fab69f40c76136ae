//! What is recommended, as it is cached and sent.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

/// The most items of each list; what a cached list has.
pub const MOST: usize = 12;

/// What is recommended, beside a product or for a cart.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Recommendations {
    /// The product that they are for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub product_id: Option<i64>,
    /// The cart that they are for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cart_id: Option<Uuid>,
    /// What lies in the same carts significantly more often than by chance, the strongest first.
    pub bought_together: Vec<Item>,
    /// What is of the same category, and alike in text and price; the most alike first.
    pub similar: Vec<Item>,
}

/// A product that is recommended. It can be bought.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Item {
    /// The product.
    pub product_id: i64,
    /// What it is called.
    pub name: String,
    /// What it costs.
    pub price_cents: i64,
    /// Where it is.
    pub category: Category,
    /// Comparable within its list only: the signed root of the log-likelihood ratio, or a similarity from 0 to 1.
    pub score: f64,
    /// Why it is there.
    pub reason: Reason,
}

/// The category of a product.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Category {
    pub id: i64,
    pub name: String,
}

/// Why a product is recommended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// It lies in the same carts.
    OftenInTheSameCarts,
    /// It is of the same category, and described in the same words.
    SameKind,
    /// It is of the same category, and costs about as much.
    SamePriceRange,
}

impl Recommendations {
    /// No more than `limit` of each.
    pub fn truncate(&mut self, limit: usize) {
        self.bought_together.truncate(limit);
        self.similar.truncate(limit);
    }
}
