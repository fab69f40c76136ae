//! The writer in SQL: it changes, moves, creates and deletes products, and renames categories. Each call is a
//! transaction of its own, and only the outbox announces it.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use anyhow::{Context, Result};
use rand::Rng;
use tokio::time::sleep;

use super::{CATEGORIES, Stage};

/// Writes until the writers together have made enough writes.
pub(super) async fn write(stage: Arc<Stage>) -> Result<()> {
    let (mut own, mut round) = (Vec::new(), 0_u32);
    while !stage.enough() {
        round += 1;
        let category: i64 = rand::rng().random_range(1..=CATEGORIES);
        match round % 8 {
            0 => {
                let new = format!(
                    "INSERT INTO products (name, price_cents, stock, category_id) \
                     VALUES ('Steel thing {round}', {round}, 3, {category}) RETURNING id, version"
                );
                for (id, version) in stage.sql(&new).await?.unwrap_or_default() {
                    stage.ledger.exists(id, true);
                    stage.ledger.product(id, version);
                    own.push(id);
                }
            }
            2 if own.len() > 5 => {
                let id = own.swap_remove(rand::rng().random_range(0..own.len()));
                // Repeat until the deletion is confirmed: one without a response may have happened.
                while stage.sql(&format!("DELETE FROM products WHERE id = {id} RETURNING id, version")).await?.is_none()
                {
                }
                stage.ledger.exists(id, false);
            }
            4 => {
                let name = format!("Aisle {round}");
                let rename =
                    format!("UPDATE categories SET name = '{name}' WHERE id = {category} RETURNING id, version");
                stage.sql(&rename).await?;
            }
            _ => {
                for (id, version) in stage.sql(&changes(&stage, round, category)).await?.unwrap_or_default() {
                    stage.ledger.product(id, version);
                }
            }
        }
    }
    Ok(())
}

/// Returns several statements; from time to time one that changes many rows.
fn changes(stage: &Stage, round: u32, category: i64) -> String {
    if round.is_multiple_of(21) {
        return "UPDATE products SET price_cents = price_cents + 1 WHERE id % 7 = 0 RETURNING id, version".to_owned();
    }
    let price = rand::rng().random_range(1..100_000);
    let one = |at: u32| {
        let set = if at == 0 { format!("category_id = {category}") } else { format!("price_cents = {price}") };
        format!("UPDATE products SET {set} WHERE id = {} RETURNING id, version", stage.any())
    };
    (0..8).map(one).collect::<Vec<_>>().join(";\n")
}

impl Stage {
    /// Returns the ids and versions of the written rows, or `None` if it is not known whether they were committed.
    async fn sql(&self, statements: &str) -> Result<Option<Vec<(i64, i64)>>> {
        let Ok(rows) = self.system.postgres.sql("shop_db", statements).await else {
            self.refused.fetch_add(1, Relaxed);
            sleep(Duration::from_millis(50)).await;
            return Ok(None);
        };
        self.written.fetch_add(rows.lines().count() as u32, Relaxed);
        let row = |row: &str| {
            let (id, version) = row.split_once('|').with_context(|| format!("not a row: {row}"))?;
            Ok((id.parse()?, version.parse()?))
        };
        rows.lines().map(row).collect::<Result<Vec<_>>>().map(Some)
    }
}
