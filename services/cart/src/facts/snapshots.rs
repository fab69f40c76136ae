//! The table `known_products`: the last known data, and the last event of each product.
//!
//! Events and fetched data arrive in any order and more than once. An event counts only if its number is higher than
//! that of the last one. Fetched data are compared with the row of the product, and stored only if no event has changed
//! the row since then.

use std::collections::{HashMap, HashSet};

use contract::ProductChangeKind;
use database::{Pool, sql};
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Bool, Jsonb};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use serde_json::Value;
use service::events::ProductEvent;

use super::model::{ProductFields, Snapshot};
use crate::error::CartError;
use crate::schema::known_products;

/// id, facts, version, minimum version, deleted, seq
type Row = (i64, Option<Value>, i64, i64, bool, i64);

/// The queries of the table. Cheap to clone.
#[derive(Clone, Debug)]
pub struct ProductSnapshots {
    pool: Pool,
}

impl ProductSnapshots {
    /// Creates the queries on a connection pool.
    pub fn new(pool: Pool) -> Self {
        Self { pool }
    }

    /// Returns the snapshots of these products. A product without a row is missing in the result.
    ///
    /// # Errors
    /// Returns an error if the database does not respond.
    pub async fn of(&self, ids: &[i64]) -> Result<HashMap<i64, Snapshot>, CartError> {
        let read = async |connection: &mut AsyncPgConnection| {
            let columns = (
                known_products::id,
                known_products::facts,
                known_products::version,
                known_products::floor_version,
                known_products::deleted,
                known_products::seq,
            );
            let rows = known_products::table.filter(known_products::id.eq_any(ids)).select(columns);
            Ok::<_, CartError>(rows.load(connection).await?)
        };
        let rows: Vec<Row> = self.pool.read(read).await?;
        let snapshot = |(id, facts, version, min_version, deleted, seq): Row| {
            // Data in the format of an older version of this program are ignored.
            let facts = facts.and_then(|facts| serde_json::from_value::<ProductFields>(facts).ok());
            (id, Snapshot { facts, version, min_version, deleted, seq })
        };
        Ok(rows.into_iter().map(snapshot).collect())
    }

    /// Stores fetched data, each with the number of the last event that was known when the data were accepted.
    ///
    /// # Errors
    /// Returns an error if the database does not respond.
    pub async fn store(&self, fetched: &[(i64, ProductFields, i64)]) -> Result<(), CartError> {
        let ids: Vec<i64> = fetched.iter().map(|(id, ..)| *id).collect();
        let versions: Vec<i64> = fetched.iter().map(|(_, facts, _)| facts.version).collect();
        let seqs: Vec<i64> = fetched.iter().map(|(.., seq)| *seq).collect();
        let facts: Result<Vec<Value>, _> = fetched.iter().map(|(_, facts, _)| serde_json::to_value(facts)).collect();
        let facts = facts?;
        // In the order of ids, so that two such statements cannot deadlock.
        let statement = || {
            sql("INSERT INTO known_products AS known (id, facts, version, seq)
                     SELECT * FROM unnest($1, $2, $3, $4) AS fetched (id, facts, version, seq) ORDER BY id
                     ON CONFLICT (id) DO UPDATE SET facts = excluded.facts, version = excluded.version, deleted = false
                     WHERE known.seq = excluded.seq AND (known.version < excluded.version OR known.deleted)")
            .bind::<Array<BigInt>, _>(&ids)
            .bind::<Array<Jsonb>, _>(&facts)
            .bind::<Array<BigInt>, _>(&versions)
            .bind::<Array<BigInt>, _>(&seqs)
        };
        self.pool.run_sql(statement).await?;
        Ok(())
    }

    /// Marks these products as deleted. Each has the number of the last event that was known when the product API no
    /// longer returned it.
    ///
    /// # Errors
    /// Returns an error if the database does not respond.
    pub async fn mark_deleted(&self, gone: &[(i64, i64)]) -> Result<(), CartError> {
        let (ids, seqs): (Vec<i64>, Vec<i64>) = gone.iter().copied().unzip();
        let statement = || {
            sql("WITH gone AS MATERIALIZED (
                         SELECT known.id FROM known_products known JOIN unnest($1, $2) AS gone (id, seq) USING (id, seq)
                         WHERE NOT deleted ORDER BY id FOR UPDATE OF known)
                     UPDATE known_products SET deleted = true FROM gone WHERE known_products.id = gone.id")
            .bind::<Array<BigInt>, _>(&ids)
            .bind::<Array<BigInt>, _>(&seqs)
        };
        self.pool.run_sql(statement).await?;
        Ok(())
    }

    /// Raises the minimum versions: data that are older than these events are rejected from now on.
    ///
    /// # Errors
    /// Returns an error if the database does not respond.
    pub async fn record_events(&self, events: &[ProductEvent]) -> Result<(), CartError> {
        // Only the last event of each product, because a statement may update a row only once.
        let last: HashMap<i64, &ProductEvent> =
            events.iter().filter_map(|event| Some((event.change.product_id?, event))).collect();
        if last.is_empty() {
            return Ok(());
        }
        let mut rows: Vec<_> = last.into_iter().collect();
        rows.sort_unstable_by_key(|(id, _)| *id);
        let seq = |event: &ProductEvent| i64::try_from(event.seq).unwrap_or(i64::MAX);
        let ids: Vec<i64> = rows.iter().map(|(id, _)| *id).collect();
        let versions: Vec<i64> = rows.iter().map(|(_, event)| event.change.version).collect();
        let seqs: Vec<i64> = rows.iter().map(|(_, event)| seq(event)).collect();
        let deleted: Vec<bool> =
            rows.iter().map(|(_, event)| event.change.kind == ProductChangeKind::ProductDeleted).collect();
        let is_creation = |event: &&ProductEvent| event.change.kind == ProductChangeKind::ProductCreated;
        let created: HashSet<i64> =
            events.iter().filter(is_creation).filter_map(|event| event.change.product_id).collect();
        let created: Vec<bool> = ids.iter().map(|id| created.contains(id)).collect();
        // A deleted product that exists again is another row, whose versions start from the beginning.
        let statement = || {
            sql("WITH last AS MATERIALIZED (
                         SELECT * FROM unnest($1, $2, $3, $4, $5) AS last (id, floor_version, seq, deleted, created))
                     INSERT INTO known_products AS known (id, floor_version, seq, deleted)
                     SELECT id, floor_version, seq, deleted FROM last ORDER BY id
                     ON CONFLICT (id) DO UPDATE SET
                         floor_version = excluded.floor_version, seq = excluded.seq, deleted = excluded.deleted,
                         version = CASE WHEN known.deleted AND NOT excluded.deleted
                                          OR (SELECT created FROM last WHERE last.id = excluded.id)
                                        THEN 0 ELSE known.version END
                     WHERE known.seq < excluded.seq")
            .bind::<Array<BigInt>, _>(&ids)
            .bind::<Array<BigInt>, _>(&versions)
            .bind::<Array<BigInt>, _>(&seqs)
            .bind::<Array<Bool>, _>(&deleted)
            .bind::<Array<Bool>, _>(&created)
        };
        self.pool.run_sql(statement).await?;
        Ok(())
    }

    /// Resets what events reported: the events may have belonged to another catalogue, or some are missing. The data
    /// stay as the best known ones.
    ///
    /// # Errors
    /// Returns an error if the database does not respond.
    pub async fn reset_versions(&self) -> Result<(), CartError> {
        // In the order of ids, as in the other statements, so that it cannot deadlock with a reader of a cart, which
        // stores what it fetches.
        let statement = || {
            sql("WITH reset AS MATERIALIZED (
                         SELECT id FROM known_products WHERE (floor_version, seq, version) <> (0, 0, 0) ORDER BY id FOR UPDATE)
                     UPDATE known_products known SET floor_version = 0, seq = 0, version = 0 FROM reset WHERE known.id = reset.id")
        };
        self.pool.run_sql(statement).await?;
        Ok(())
    }
}
