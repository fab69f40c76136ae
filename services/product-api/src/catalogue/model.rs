//! Products and categories as the API returns them.

use chrono::{DateTime, Utc};
use contract::CategoryId;
use diesel::pg::Pg;
use diesel::prelude::*;
use serde::Serialize;
use utoipa::ToSchema;

use crate::schema::{categories, products};

/// A product.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema, Queryable, Selectable)]
#[diesel(table_name = products, check_for_backend(Pg))]
pub struct Product {
    /// The id.
    pub id: i64,
    /// The name.
    pub name: String,
    /// A description of a few sentences.
    pub description: String,
    /// The price in cents.
    pub price_cents: i64,
    /// Pieces in stock.
    pub stock: i32,
    /// Whether the featured list shows it.
    pub featured: bool,
    /// The category of the product.
    #[diesel(embed)]
    pub category: CategoryRef,
    /// 1 at first, incremented by every change.
    pub version: i64,
    /// The time of creation.
    pub created_at: DateTime<Utc>,
    /// The time of the last change.
    pub updated_at: DateTime<Utc>,
}

/// The lists that show a product.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListMembership {
    /// The category whose list shows it.
    pub category: CategoryId,
    /// Whether the featured list shows it.
    pub featured: bool,
}

impl Product {
    /// Returns the lists that show the product.
    pub fn list_membership(&self) -> ListMembership {
        ListMembership { category: self.category.id.into(), featured: self.featured }
    }
}

/// A category, as a product shows it.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema, Queryable, Selectable)]
#[diesel(table_name = categories, check_for_backend(Pg))]
pub struct CategoryRef {
    /// The id.
    pub id: i64,
    /// The name.
    pub name: String,
}

/// A category.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema, Queryable, Selectable)]
#[diesel(table_name = categories, check_for_backend(Pg))]
pub struct Category {
    /// The id.
    pub id: i64,
    /// The name.
    pub name: String,
    /// A description of one sentence.
    pub description: String,
    /// 1 at first, incremented by every change.
    pub version: i64,
    /// The time of the last change.
    pub updated_at: DateTime<Utc>,
}

/// A page of the catalogue.
#[derive(Debug, Serialize, ToSchema)]
pub struct ProductPage {
    /// The products, in the order of their ids.
    pub products: Vec<Product>,
    /// The cursor of the next page, absent on the last page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
}

/// The featured list.
#[derive(Debug, Serialize, ToSchema)]
pub struct FeaturedList {
    /// The featured products, in the order of their ids.
    pub products: Vec<Product>,
}

/// The list of a category.
#[derive(Debug, Serialize, ToSchema)]
pub struct CategoryPage {
    /// The category.
    pub category: Category,
    /// The number of its products.
    pub total: i64,
    /// The first hundred products, in the order of their ids.
    pub products: Vec<Product>,
}
