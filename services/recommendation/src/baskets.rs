//! What lies in carts: the table `basket_items`, a set that is kept by events.
//!
//! An event says how a line is, not what has become of it, and with which version. So an event that comes twice, or after
//! a later one, has no effect.

use std::collections::BTreeMap;

use database::{Pool, sql};
use diesel::sql_types::{Array, BigInt, Integer, Uuid as SqlUuid};
use diesel_async::RunQueryDsl;
use events::CART_EVENTS;
use events::contract::{CartChange, CartChangeKind, CartEvent};
use events::log::Mark;
use uuid::Uuid;

use crate::error::Failure;
use crate::positions::{mark, signed};

/// The baskets. Cheap to clone.
#[derive(Clone)]
pub struct Baskets {
    pool: Pool,
}

impl Baskets {
    /// The table in the database of `pool`.
    pub fn new(pool: Pool) -> Self {
        Self { pool }
    }

    /// The log of carts has another history than before: versions of lines are counted anew.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn forget_versions(&self) -> Result<(), Failure> {
        self.pool
            .run(async |connection| {
                let forget = sql("UPDATE basket_items SET version = 0, seq = 0 WHERE (version, seq) <> (0, 0)");
                forget.execute(connection).await?;
                Ok(())
            })
            .await
    }

    /// Writes what events tell, and that they are carried out, and commits. Returns how many lines have changed.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn carry_out(&self, events: &[CartEvent]) -> Result<usize, Failure> {
        // A statement may touch a row once only; the order of keys keeps two writers from waiting in a circle.
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
                if changed > 0 {
                    sql("UPDATE lessons SET number = number + $1 WHERE name = 'changes'")
                        .bind::<BigInt, _>(signed(changed as u64))
                        .execute(connection)
                        .await?;
                }
                let marks = events.iter().map(|event| Mark { seq: event.seq, epoch: event.epoch });
                mark(connection, CART_EVENTS.stream, marks).await?;
                Ok(changed)
            })
            .await
    }
}

fn quantity(change: &CartChange) -> i32 {
    match change.kind {
        CartChangeKind::ItemAdded => change.quantity.max(0),
        CartChangeKind::ItemRemoved => 0,
    }
}

impl std::fmt::Debug for Baskets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Baskets")
    }
}
