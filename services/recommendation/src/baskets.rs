//! The contents of carts, in the table `basket_items`. Events keep them current, and they are read from the cart
//! service when events were lost.
//!
//! An event holds the whole state of a line with its version, not a difference. So an event that arrives twice, or
//! after a later one, has no effect.

use std::collections::BTreeMap;

use contract::cart_snapshot::CartLine;
use contract::{CartChange, CartChangeKind};
use database::{Pool, sql};
use diesel::sql_types::{Array, BigInt, Integer, Uuid as SqlUuid};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use service::events::CartEvent;
use uuid::Uuid;

use crate::error::RecommendationError;
use crate::positions::signed;

/// The contents of carts. Cheap to clone.
#[derive(Clone, Debug)]
pub struct BasketItems {
    pool: Pool,
}

impl BasketItems {
    /// Creates access to the table in the database of `pool`.
    pub fn new(pool: Pool) -> Self {
        Self { pool }
    }

    /// Resets the versions of all lines, because the log of carts has another history and counts them from the start.
    ///
    /// # Errors
    /// Fails when the database does not respond.
    pub async fn reset_versions(&self) -> Result<(), RecommendationError> {
        let forget = || sql("UPDATE basket_items SET version = 0, seq = 0 WHERE (version, seq) <> (0, 0)");
        self.pool.run_sql(forget).await?;
        Ok(())
    }

    /// Replaces the contents of the carts whose references are after `range.0`, up to `range.1`, with `lines`. Returns
    /// how many lines have changed.
    ///
    /// `lines` were read after the log had the event `head`; lines that a later event has written stay.
    ///
    /// # Errors
    /// Fails when the database does not respond.
    pub async fn replace(
        &self, range: (Uuid, Uuid), lines: &[CartLine], head: u64,
    ) -> Result<usize, RecommendationError> {
        let carts: Vec<Uuid> = lines.iter().map(|line| line.cart_id).collect();
        let products: Vec<i64> = lines.iter().map(|line| line.product_id).collect();
        self.pool
            .transaction(async |connection| {
                // One statement, ordered by key, so that two writers cannot deadlock.
                let changed = sql("WITH shown AS MATERIALIZED (
                         SELECT * FROM unnest($1, $2, $3, $4) AS shown (cart_id, product_id, version, quantity)),
                     gone AS (
                         SELECT cart_id, product_id, version, 0 AS quantity FROM basket_items
                         WHERE cart_id > $6 AND cart_id <= $7 AND quantity > 0 AND seq <= $5
                             AND NOT EXISTS (SELECT FROM shown WHERE shown.cart_id = basket_items.cart_id
                                                 AND shown.product_id = basket_items.product_id))
                     INSERT INTO basket_items AS known (cart_id, product_id, version, quantity, seq)
                     SELECT cart_id, product_id, version, quantity, $5
                         FROM (SELECT * FROM shown UNION ALL SELECT * FROM gone) AS new ORDER BY cart_id, product_id
                     ON CONFLICT (cart_id, product_id) DO UPDATE SET
                         version = excluded.version, quantity = excluded.quantity, seq = greatest(known.seq, excluded.seq)
                     WHERE known.version < excluded.version
                         OR excluded.quantity = 0 AND known.quantity > 0 AND known.seq <= $5")
                .bind::<Array<SqlUuid>, _>(&carts)
                .bind::<Array<BigInt>, _>(&products)
                .bind::<Array<BigInt>, _>(lines.iter().map(|line| line.version).collect::<Vec<_>>())
                .bind::<Array<Integer>, _>(lines.iter().map(|line| line.quantity).collect::<Vec<_>>())
                .bind::<BigInt, _>(signed(head))
                .bind::<SqlUuid, _>(range.0)
                .bind::<SqlUuid, _>(range.1)
                .execute(connection)
                .await?;
                count(connection, changed).await?;
                Ok(changed)
            })
            .await
    }

    /// Writes the lines of `events` in one transaction. Returns how many lines have changed. The caller marks the
    /// events as applied afterwards ([`Positions::mark_applied`](crate::positions::Positions::mark_applied)).
    ///
    /// # Errors
    /// Fails when the database does not respond.
    pub async fn apply(&self, events: &[CartEvent]) -> Result<usize, RecommendationError> {
        // A statement may change a row only once. The order of keys prevents a deadlock of two writers.
        let mut lines: BTreeMap<(Uuid, i64), (i64, i32, u64)> = BTreeMap::new();
        for event in events {
            let change = &event.change;
            let line = (change.version, quantity(change), event.seq);
            let newest = lines.entry((change.cart_id, change.product_id)).or_insert(line);
            *newest = (*newest).max(line);
        }
        self.pool
            .transaction(async |connection| {
                let changed = sql("INSERT INTO basket_items AS known (cart_id, product_id, version, quantity, seq)
                     SELECT * FROM unnest($1, $2, $3, $4, $5) AS new (cart_id, product_id, version, quantity, seq)
                     ORDER BY cart_id, product_id
                     ON CONFLICT (cart_id, product_id) DO UPDATE SET
                         version = excluded.version, quantity = excluded.quantity, seq = excluded.seq
                     WHERE known.version < excluded.version")
                .bind::<Array<SqlUuid>, _>(lines.keys().map(|(cart, _)| *cart).collect::<Vec<_>>())
                .bind::<Array<BigInt>, _>(lines.keys().map(|(_, product)| *product).collect::<Vec<_>>())
                .bind::<Array<BigInt>, _>(lines.values().map(|line| line.0).collect::<Vec<_>>())
                .bind::<Array<Integer>, _>(lines.values().map(|line| line.1).collect::<Vec<_>>())
                .bind::<Array<BigInt>, _>(lines.values().map(|line| signed(line.2)).collect::<Vec<_>>())
                .execute(connection)
                .await?;
                count(connection, changed).await?;
                Ok(changed)
            })
            .await
    }
}

/// Counts changed lines, so that the learner sees that there is something to learn.
async fn count(connection: &mut AsyncPgConnection, changed: usize) -> Result<(), RecommendationError> {
    if changed > 0 {
        sql("UPDATE lessons SET number = number + $1 WHERE name = 'changes'")
            .bind::<BigInt, _>(signed(changed as u64))
            .execute(connection)
            .await?;
    }
    Ok(())
}

fn quantity(change: &CartChange) -> i32 {
    match change.kind {
        CartChangeKind::ItemAdded => change.quantity.max(0),
        CartChangeKind::ItemRemoved => 0,
    }
}
