//! The copy of the catalogue: the tables `products` and `categories`.
//!
//! Rows come from responses of the product API, in any order and more than once. Each row has the number of an event
//! that it is at least as new as, because it was requested after that event was received. Between the creation and the
//! deletion of a product, the higher version is the newer one. Versions may start again after a deletion, so the number
//! decides then.

mod pending_refresh;
mod rows;
mod sync;

pub(crate) use pending_refresh::awaited;
use rows::Rows;
pub use sync::CatalogueSync;

use std::collections::{BTreeMap, HashSet};

use contract::product_api::Product;
use database::{Pool, sql};
use diesel::sql_types::{Array, BigInt};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use outbox::log::LogPosition;
use uuid::Uuid;

use crate::error::RecommendationError;
use crate::positions::signed;

/// The copy of the catalogue. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Catalogue {
    pool: Pool,
    /// The id of this process in the table of pending refreshes.
    process: Uuid,
}

/// Rows to be written to the copy.
#[derive(Debug, Default)]
pub struct Changes {
    /// Existing products, each with the number of an event that it is at least as new as.
    pub live: Vec<(Product, u64)>,
    /// Products that do not exist: the id, the last known version, and the event number.
    pub gone: Vec<(i64, i64, u64)>,
    /// The ids of products that may have been deleted and created again.
    pub may_be_new_row: HashSet<i64>,
    /// Category names, each with the id of the category and the number of an event that it is at least as new as.
    pub names: Vec<(i64, String, u64)>,
}

#[derive(diesel::QueryableByName)]
struct Id {
    #[diesel(sql_type = BigInt)]
    id: i64,
}

impl Catalogue {
    /// Creates access to the tables in the database of `pool`.
    pub fn new(pool: Pool) -> Self {
        Self { pool, process: Uuid::now_v7() }
    }

    /// Writes the `changes` of these events, and commits. Returns the products that the events made available again or
    /// unavailable. A repeated call returns the same products. The events are not applied yet: first, the lists that were
    /// built from the old rows must be invalidated.
    ///
    /// # Errors
    /// Fails when the database does not respond.
    pub async fn apply(&self, changes: &Changes, events: &[LogPosition]) -> Result<HashSet<i64>, RecommendationError> {
        self.pool
            .transaction(async |connection| {
                let flipped = write(connection, changes, events.iter().map(|event| event.seq).min()).await?;
                if !events.is_empty() {
                    pending_refresh::clear_pending(connection, self.process).await?;
                }
                Ok(flipped)
            })
            .await
    }
}

/// Writes `changes`. Returns which of these products became available again or unavailable since event `first`.
async fn write(
    connection: &mut AsyncPgConnection, changes: &Changes, first: Option<u64>,
) -> Result<HashSet<i64>, RecommendationError> {
    let mut rows = Rows::of(changes);
    rows.lock(connection).await?;
    if !changes.may_be_new_row.is_empty() {
        begin_anew(connection, changes).await?;
    }
    rows.write(connection, &names(changes), first).await
}

/// Returns the newest name of each category.
fn names(changes: &Changes) -> BTreeMap<i64, (&str, u64)> {
    let mut newest = BTreeMap::new();
    let of_products =
        changes.live.iter().map(|(product, number)| (product.category.id, product.category.name.as_str(), *number));
    let answered = changes.names.iter().map(|(id, name, number)| (*id, name.as_str(), *number));
    for (id, name, number) in of_products.chain(answered) {
        let known = newest.entry(id).or_insert((name, number));
        if known.1 <= number {
            *known = (name, number);
        }
    }
    newest
}

/// Resets the known version of a product that may have been created again with a lower version, unless a newer event
/// has written its row.
async fn begin_anew(connection: &mut AsyncPgConnection, changes: &Changes) -> Result<(), RecommendationError> {
    let may_be_new_row = changes.live.iter().filter(|(product, _)| changes.may_be_new_row.contains(&product.id));
    let (rows, numbers): (Vec<(i64, i64)>, Vec<i64>) =
        may_be_new_row.map(|(product, number)| ((product.id, product.version), signed(*number))).unzip();
    let (ids, versions): (Vec<i64>, Vec<i64>) = rows.into_iter().unzip();
    sql("UPDATE products AS known SET version = 0 FROM unnest($1, $2, $3) AS new (id, version, seq)
         WHERE known.id = new.id AND known.version > new.version AND known.seq <= new.seq")
    .bind::<Array<BigInt>, _>(ids)
    .bind::<Array<BigInt>, _>(versions)
    .bind::<Array<BigInt>, _>(numbers)
    .execute(connection)
    .await?;
    Ok(())
}
