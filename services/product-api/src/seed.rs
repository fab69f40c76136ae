//! Fills a new database with a catalogue, and extends it when a larger one is configured.
//!
//! Any number of processes may seed at the same time, and each may be killed at any moment. The next start continues
//! where the last commit ended. The seeding keeps all changes and deletions made by clients, and does not reuse an id
//! that the database gave to a user's product.

mod catalogue;
mod generator;
mod id_reservation;
mod vocabulary;

use anyhow::Context;
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Bool, Integer, Text};
use diesel_async::{AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};
use tokio::time::Instant;
use tracing::{info, warn};

use crate::schema::seed_state;
use catalogue::{Catalogue, Category, Product};
use database::{Error, ErrorClass, Pool, Transaction};

/// Rows per statement and transaction: enough to be fast, few enough to report progress.
const CHUNK: i64 = 10_000;

/// The work that a call of [`seed`] did.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct SeedReport {
    /// Categories inserted by this call.
    pub categories: usize,
    /// Products inserted by this call.
    pub products: usize,
}

/// Ensures that the catalogue has been filled up to id `target`, by this call or an earlier one. A read-only database
/// stays unchanged, and the next start continues.
pub async fn seed(pool: &Pool, target: u64) -> anyhow::Result<SeedReport> {
    let target = i64::try_from(target).context("the number of products to seed is too large")?;
    let catalogue = Catalogue::read().context("seed/catalogue.json is not valid")?;
    let seeded = fill(pool, &catalogue, target).await;
    if let Err(error) = &seeded
        && error.downcast_ref::<Error>().is_some_and(|error| error.class() == ErrorClass::ReadOnly)
    {
        warn!("the database is read-only: the catalogue is not seeded any further until the next start");
        return Ok(SeedReport::default());
    }
    seeded
}

async fn fill(pool: &Pool, catalogue: &Catalogue, target: i64) -> anyhow::Result<SeedReport> {
    let started = Instant::now();
    let categories = seed_categories(pool, catalogue).await.context("cannot seed the categories")?;
    let mut report = SeedReport { categories, products: 0 };
    while id_reservation::reserve(pool, target).await.context("cannot reserve ids for the catalogue")? {
        report.products += seed_chunk(pool, catalogue).await.context("cannot seed the products")?;
    }
    if report.products > 0 {
        // Until there are statistics, the planner assumes that the tables are almost empty.
        let analyze = async |connection: &mut AsyncPgConnection| {
            Ok::<_, Error>(connection.batch_execute("ANALYZE categories, products").await?)
        };
        transaction(pool).run(analyze).await.context("cannot analyze the tables")?;
        let milliseconds = started.elapsed().as_millis() as u64;
        info!(products = report.products, milliseconds, "the catalogue is seeded");
    }
    Ok(report)
}

/// A step may wait for another process, so it has no time limit.
fn transaction(pool: &Pool) -> Transaction<'_> {
    pool.build_transaction().statement_timeout(None)
}

async fn seed_categories(pool: &Pool, catalogue: &Catalogue) -> Result<usize, Error> {
    transaction(pool)
        .run(async |connection| {
            let done = id_reservation::lock(connection).await?.categories;
            let new: Vec<&Category> = catalogue.categories.iter().filter(|category| category.id > done).collect();
            let Some(last) = new.iter().map(|category| category.id).max() else {
                return Ok(0);
            };
            diesel::update(seed_state::table).set(seed_state::categories.eq(last)).execute(connection).await?;
            id_reservation::raise_sequence(connection, "categories", last).await?;
            let inserted = diesel::sql_query(
                "INSERT INTO categories (id, name, description)
                 SELECT * FROM unnest($1, $2, $3) ON CONFLICT DO NOTHING",
            )
            .bind::<Array<BigInt>, _>(column(&new, |category| category.id))
            .bind::<Array<Text>, _>(column(&new, |category| category.name.as_str()))
            .bind::<Array<Text>, _>(column(&new, |category| category.description.as_str()))
            .execute(connection)
            .await?;
            Ok(inserted)
        })
        .await
}

/// Inserts the next rows of the reservation and advances the state past them, in one transaction.
async fn seed_chunk(pool: &Pool, catalogue: &Catalogue) -> Result<usize, Error> {
    transaction(pool)
        .run(async |connection| {
            let state = id_reservation::lock(connection).await?;
            let last = state.reserved_to.min(state.seeded_to + CHUNK);
            let products: Vec<Product> = (state.seeded_to + 1..=last).map(|id| catalogue.product(id)).collect();
            let inserted = insert(connection, &products).await?;
            diesel::update(seed_state::table).set(seed_state::seeded_to.eq(last)).execute(connection).await?;
            info!(done = last, total = state.reserved_to, "seeding products");
            Ok(inserted)
        })
        .await
}

/// One statement with an array per column: the number of parameters is constant, and one plan serves any number of
/// rows. Skips rows that exist, and products of a category that a client has deleted.
async fn insert(connection: &mut AsyncPgConnection, products: &[Product]) -> QueryResult<usize> {
    diesel::sql_query(
        "INSERT INTO products (id, category_id, name, description, price_cents, stock, featured)
         SELECT new.* FROM unnest($1, $2, $3, $4, $5, $6, $7) AS new (id, category_id)
         WHERE EXISTS (SELECT FROM categories WHERE categories.id = new.category_id)
         ON CONFLICT DO NOTHING",
    )
    .bind::<Array<BigInt>, _>(column(products, |product| product.id))
    .bind::<Array<BigInt>, _>(column(products, |product| product.category_id))
    .bind::<Array<Text>, _>(column(products, |product| product.name.as_str()))
    .bind::<Array<Text>, _>(column(products, |product| product.description.as_str()))
    .bind::<Array<BigInt>, _>(column(products, |product| product.price_cents))
    .bind::<Array<Integer>, _>(column(products, |product| product.stock))
    .bind::<Array<Bool>, _>(column(products, |product| product.featured))
    .execute(connection)
    .await
}

fn column<'a, Row, Value>(rows: &'a [Row], value: impl Fn(&'a Row) -> Value) -> Vec<Value> {
    rows.iter().map(value).collect()
}
