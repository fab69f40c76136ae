//! The lists as they are cached and sent.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

/// The maximum number of items of each list, and the size of a cached list.
pub const MAX_ITEMS: usize = 12;

/// The recommendations for a product or for a cart.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Recommendations {
    /// The product to which the recommendations belong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub product_id: Option<i64>,
    /// The cart to which the recommendations belong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cart_id: Option<Uuid>,
    /// Products that are in the same carts significantly more often than by chance, the strongest first.
    pub bought_together: Vec<Item>,
    /// Products of the same category that are similar in text and price, the most similar first.
    pub similar: Vec<Item>,
}

/// A recommended product. It can be bought.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Item {
    /// The id of the product.
    pub product_id: i64,
    /// The name of the product.
    pub name: String,
    /// The price in cents.
    pub price_cents: i64,
    /// The category of the product.
    pub category: Category,
    /// In `bought_together`, the signed root of the log-likelihood ratio; in `similar`, a similarity from 0 to 1.
    /// Scores are comparable only within their list.
    pub score: f64,
    /// Why the product is recommended.
    pub reason: Reason,
}

/// The category of a product.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Category {
    /// The id.
    pub id: i64,
    /// The name.
    pub name: String,
}

/// Why a product is recommended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// The product is often in the same carts.
    OftenInTheSameCarts,
    /// The product is of the same category, and described in similar words.
    SameKind,
    /// The product is of the same category, and has a similar price.
    SamePriceRange,
}

impl Recommendations {
    /// Truncates each list to at most `limit` items.
    pub fn truncate(&mut self, limit: usize) {
        self.bought_together.truncate(limit);
        self.similar.truncate(limit);
    }
}
