//! Products and categories as the API returns them, and the input of clients, with the bounds of each field.

use chrono::{DateTime, Utc};
use contract::{CategoryId, ConsistencyToken, ProductId};
use diesel::pg::Pg;
use diesel::prelude::*;
use garde::Validate;
use serde::{Deserialize, Serialize};
use service::caching::Preconditions;
use utoipa::ToSchema;

use super::error::CatalogueError;
use crate::schema::{categories, products};

/// The highest price in cents: ten billion whole units of money.
const PRICE: i64 = 1_000_000_000_000;

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

/// A committed change.
#[derive(Clone, Debug)]
pub struct Committed<T> {
    /// The row after the change; a deleted row as it was.
    pub value: T,
    /// What a client sends with its reads to see the change.
    pub token: ConsistencyToken,
}

impl<T> Committed<T> {
    /// Adds the token to a row and the id of the transaction that has changed it.
    pub(super) fn new((value, transaction): (T, String)) -> Result<Self, CatalogueError> {
        let token = transaction.parse().map_err(|_| CatalogueError::Internal(format!("transaction {transaction}")))?;
        Ok(Self { value, token })
    }
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

/// A new product.
#[derive(Debug, Clone, Deserialize, Validate, ToSchema, Insertable)]
#[serde(deny_unknown_fields)]
#[diesel(table_name = products)]
pub struct NewProduct {
    /// 1 to 200 characters.
    #[garde(length(chars, min = 1, max = 200), custom(printable))]
    #[schema(
        min_length = 1,
        max_length = 200,
        pattern = r"^[^\x00-\x1f\x7f-\x9f]*[^\s\x00-\x1f\x7f-\x9f][^\x00-\x1f\x7f-\x9f]*$"
    )]
    pub name: String,
    /// At most 5,000 characters.
    #[garde(length(chars, max = 5000), custom(storable))]
    #[schema(max_length = 5000, pattern = r"^[^\x00]*$")]
    #[serde(default)]
    pub description: String,
    /// The price in cents, not negative.
    #[garde(range(min = 0, max = PRICE))]
    #[schema(minimum = 0, maximum = 1_000_000_000_000i64)]
    pub price_cents: i64,
    /// Pieces in stock, not negative.
    #[garde(range(min = 0))]
    #[schema(minimum = 0, maximum = 2_147_483_647)]
    #[serde(default)]
    pub stock: i32,
    /// An existing category.
    #[garde(range(min = 1))]
    #[schema(minimum = 1)]
    pub category_id: i64,
    /// Whether the featured list shows it.
    #[garde(skip)]
    #[serde(default)]
    pub featured: bool,
}

/// A change of a product. A field that is left out keeps its value.
#[derive(Debug, Clone, Default, Deserialize, Validate, ToSchema, AsChangeset)]
#[serde(deny_unknown_fields)]
#[diesel(table_name = products)]
pub struct ProductChange {
    /// 1 to 200 characters.
    #[garde(inner(length(chars, min = 1, max = 200), custom(printable)))]
    #[schema(
        nullable = false,
        min_length = 1,
        max_length = 200,
        pattern = r"^[^\x00-\x1f\x7f-\x9f]*[^\s\x00-\x1f\x7f-\x9f][^\x00-\x1f\x7f-\x9f]*$"
    )]
    pub name: Option<String>,
    /// At most 5,000 characters.
    #[garde(inner(length(chars, max = 5000), custom(storable)))]
    #[schema(nullable = false, max_length = 5000, pattern = r"^[^\x00]*$")]
    pub description: Option<String>,
    /// The price in cents, not negative.
    #[garde(inner(range(min = 0, max = PRICE)))]
    #[schema(nullable = false, minimum = 0, maximum = 1_000_000_000_000i64)]
    pub price_cents: Option<i64>,
    /// Pieces in stock, not negative.
    #[garde(inner(range(min = 0)))]
    #[schema(nullable = false, minimum = 0, maximum = 2_147_483_647)]
    pub stock: Option<i32>,
    /// An existing category.
    #[garde(inner(range(min = 1)))]
    #[schema(nullable = false, minimum = 1)]
    pub category_id: Option<i64>,
    /// Whether the featured list shows it.
    #[garde(skip)]
    #[schema(nullable = false)]
    pub featured: Option<bool>,
}

/// A change of one product, made only if the client's preconditions hold.
#[derive(Debug)]
pub struct ProductWrite {
    /// The product.
    pub id: ProductId,
    /// The new values.
    pub change: ProductChange,
    /// The preconditions.
    pub expect: Preconditions,
}

/// A change of a category. A field that is left out keeps its value.
#[derive(Debug, Clone, Default, Deserialize, Validate, ToSchema, AsChangeset)]
#[serde(deny_unknown_fields)]
#[diesel(table_name = categories)]
pub struct CategoryChange {
    /// 1 to 100 characters, unique among the categories.
    #[garde(inner(length(chars, min = 1, max = 100), custom(printable)))]
    #[schema(
        nullable = false,
        min_length = 1,
        max_length = 100,
        pattern = r"^[^\x00-\x1f\x7f-\x9f]*[^\s\x00-\x1f\x7f-\x9f][^\x00-\x1f\x7f-\x9f]*$"
    )]
    pub name: Option<String>,
    /// At most 1,000 characters.
    #[garde(inner(length(chars, max = 1000), custom(storable)))]
    #[schema(nullable = false, max_length = 1000, pattern = r"^[^\x00]*$")]
    pub description: Option<String>,
}

impl ProductChange {
    /// Returns the names of the fields that the change sets.
    pub fn fields(&self) -> Vec<&'static str> {
        let set = [
            ("name", self.name.is_some()),
            ("description", self.description.is_some()),
            ("price_cents", self.price_cents.is_some()),
            ("stock", self.stock.is_some()),
            ("category_id", self.category_id.is_some()),
            ("featured", self.featured.is_some()),
        ];
        set.into_iter().filter_map(|(name, is_set)| is_set.then_some(name)).collect()
    }
}

impl CategoryChange {
    /// Returns whether the change sets no field.
    pub fn is_empty(&self) -> bool {
        self.name.is_none() && self.description.is_none()
    }
}

/// Checks that a name is one line of visible text.
fn printable(text: &str, (): &()) -> garde::Result {
    if (text.trim().is_empty() && !text.is_empty()) || text.chars().any(char::is_control) {
        return Err(garde::Error::new("must be one line of printable text"));
    }
    Ok(())
}

/// Checks that a text has no zero character, the only character that Postgres does not store.
fn storable(text: &str, (): &()) -> garde::Result {
    if text.contains('\0') {
        return Err(garde::Error::new("must not contain the zero character"));
    }
    Ok(())
}
