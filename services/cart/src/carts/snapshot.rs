//! All carts, page by page, identified by their references: for consumers that have lost events.

use contract::cart_snapshot::{CartLine, CartSnapshotPage};
use database::sql;
use diesel::sql_types::{BigInt, Integer, Nullable, Uuid as SqlUuid};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use uuid::Uuid;

use super::Carts;
use crate::error::CartError;

/// One statement, and therefore one snapshot of the database. An empty cart has a row too, which shows how far the page
/// extends.
const PAGE: &str = "
    WITH page AS MATERIALIZED (
        SELECT id, cart_reference(id) AS reference FROM carts WHERE cart_reference(id) > $1
        ORDER BY cart_reference(id) LIMIT $2)
    SELECT page.reference, item.product_id, item.quantity, item.version
    FROM page LEFT JOIN cart_items item ON item.cart_id = page.id AND item.quantity > 0
    ORDER BY page.reference, item.product_id";

#[derive(diesel::QueryableByName)]
struct Row {
    #[diesel(sql_type = SqlUuid)]
    reference: Uuid,
    #[diesel(sql_type = Nullable<BigInt>)]
    product_id: Option<i64>,
    #[diesel(sql_type = Nullable<Integer>)]
    quantity: Option<i32>,
    #[diesel(sql_type = Nullable<BigInt>)]
    version: Option<i64>,
}

impl Row {
    fn line(&self) -> Option<CartLine> {
        let (product_id, quantity, version) = (self.product_id?, self.quantity?, self.version?);
        Some(CartLine { cart_id: self.reference, product_id, quantity, version })
    }
}

impl Carts {
    /// Returns the lines of the `limit` carts after the reference `cursor`.
    ///
    /// # Errors
    /// Returns an error if the database does not respond.
    pub async fn snapshot(&self, cursor: Option<Uuid>, limit: u32) -> Result<CartSnapshotPage, CartError> {
        let read = async |connection: &mut AsyncPgConnection| {
            let page = sql(PAGE).bind::<SqlUuid, _>(cursor.unwrap_or_default()).bind::<BigInt, _>(i64::from(limit));
            Ok::<_, CartError>(page.load(connection).await?)
        };
        let rows: Vec<Row> = self.pool.read(read).await?;
        let carts = rows.chunk_by(|one, next| one.reference == next.reference).count();
        let is_full = carts >= limit as usize;
        let next_cursor = rows.last().filter(|_| is_full).map(|row| row.reference);
        Ok(CartSnapshotPage { lines: rows.iter().filter_map(Row::line).collect(), next_cursor })
    }
}
