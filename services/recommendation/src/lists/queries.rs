//! The queries for a list: each is one statement that uses indexes.

use database::sql;
use diesel::OptionalExtension;
use diesel::sql_types::{Array, BigInt, Bool, Double, Integer, Nullable, Text, Uuid as SqlUuid};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use uuid::Uuid;

use super::model::{Category, Item, Reason};
use crate::error::RecommendationError;

/// A product that a list may show.
#[derive(diesel::QueryableByName)]
pub(super) struct Candidate {
    #[diesel(sql_type = BigInt)]
    pub(super) id: i64,
    #[diesel(sql_type = Nullable<Text>)]
    name: Option<String>,
    #[diesel(sql_type = Nullable<BigInt>)]
    price_cents: Option<i64>,
    #[diesel(sql_type = Nullable<BigInt>)]
    category_id: Option<i64>,
    #[diesel(sql_type = Nullable<Text>)]
    category: Option<String>,
    #[diesel(sql_type = Double)]
    score: f64,
    #[diesel(sql_type = Bool)]
    pub(super) can_be_bought: bool,
    #[diesel(sql_type = Bool)]
    by_price: bool,
}

#[derive(diesel::QueryableByName)]
struct Found {
    #[diesel(sql_type = BigInt)]
    id: i64,
    #[diesel(sql_type = BigInt)]
    category_id: i64,
}

impl Candidate {
    /// Converts the candidate into an item that is bought together.
    pub(super) fn together(self) -> Item {
        self.item(Reason::OftenInTheSameCarts)
    }

    pub(super) fn similar(self) -> Item {
        let reason = if self.by_price { Reason::SamePriceRange } else { Reason::SameKind };
        self.item(reason)
    }

    fn item(self, reason: Reason) -> Item {
        Item {
            product_id: self.id,
            name: self.name.unwrap_or_default(),
            price_cents: self.price_cents.unwrap_or_default(),
            category: Category { id: self.category_id.unwrap_or_default(), name: self.category.unwrap_or_default() },
            score: (self.score * 1000.0).round() / 1000.0,
            reason,
        }
    }
}

/// Returns the category of a product, if the product exists.
pub(super) async fn category(
    connection: &mut AsyncPgConnection, product: i64,
) -> Result<Option<i64>, RecommendationError> {
    let found = "SELECT id, category_id FROM products WHERE id = $1 AND NOT deleted";
    let found: Option<Found> = sql(found).bind::<BigInt, _>(product).get_result(connection).await.optional()?;
    Ok(found.map(|found| found.category_id))
}

/// Returns the products in a cart, each with its category (0 if the product does not exist); the line with the newest
/// event comes first.
pub(super) async fn basket(
    connection: &mut AsyncPgConnection, cart: Uuid,
) -> Result<Vec<(i64, i64)>, RecommendationError> {
    let lines = "SELECT line.product_id AS id, coalesce(p.category_id, 0) AS category_id
                 FROM basket_items line LEFT JOIN products p ON p.id = line.product_id AND NOT p.deleted
                 WHERE line.cart_id = $1 AND line.quantity > 0 ORDER BY line.seq DESC, line.product_id";
    let lines: Vec<Found> = sql(lines).bind::<SqlUuid, _>(cart).load(connection).await?;
    Ok(lines.into_iter().map(|line| (line.id, line.category_id)).collect())
}

/// Returns the products that are bought together with any of `of`, the strongest first, including those that cannot be
/// bought now, but none of `of`.
///
/// Scores add up, as Deshpande and Karypis do in "Item-Based Top-N Recommendation Algorithms", ACM TOIS 22 (1), 2004.
pub(super) async fn together(
    connection: &mut AsyncPgConnection, of: &[i64],
) -> Result<Vec<Candidate>, RecommendationError> {
    let others = "SELECT other.id, p.name, p.price_cents, p.category_id, c.name AS category, other.score,
                      coalesce(p.stock > 0 AND NOT p.deleted, false) AS can_be_bought, false AS by_price
                  FROM (SELECT other_id AS id, round(sum(score)::numeric, 1)::double precision AS score FROM together
                        WHERE product_id = ANY($1) AND other_id <> ALL($1) GROUP BY other_id) AS other
                  LEFT JOIN products p ON p.id = other.id LEFT JOIN categories c ON c.id = p.category_id
                  ORDER BY other.score DESC, other.id";
    Ok(sql(others).bind::<Array<BigInt>, _>(of).load(connection).await?)
}

/// Returns the products that are similar to any of `to`, the most similar first, without those in `except`.
pub(super) async fn similar(
    connection: &mut AsyncPgConnection, to: &[i64], except: &[i64], most: usize,
) -> Result<Vec<Candidate>, RecommendationError> {
    // The limit per product includes those that may have to be left out.
    let wide = most + except.len();
    let others = "SELECT other.id, p.name, p.price_cents, p.category_id, c.name AS category, other.score,
                      true AS can_be_bought, other.by_price
                  FROM (SELECT DISTINCT ON (s.product_id) s.product_id AS id, s.score, 0.4 * s.near > 0.6 * s.alike AS by_price
                        FROM unnest($1) AS asked (id), similar_products(asked.id, $2) AS s
                        WHERE s.product_id <> ALL($3) ORDER BY s.product_id, s.score DESC) AS other
                  JOIN products p ON p.id = other.id LEFT JOIN categories c ON c.id = p.category_id
                  WHERE p.stock > 0 AND NOT p.deleted
                  ORDER BY other.score DESC, other.id LIMIT $4";
    Ok(sql(others)
        .bind::<Array<BigInt>, _>(to)
        .bind::<Integer, _>(i32::try_from(wide).unwrap_or(i32::MAX))
        .bind::<Array<BigInt>, _>(except)
        .bind::<BigInt, _>(i64::try_from(most).unwrap_or(i64::MAX))
        .load(connection)
        .await?)
}
