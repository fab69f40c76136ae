//! Writes any number of rows to the copy of the catalogue in two statements.
//!
//! The first statement locks the known rows and determines whose texts are unchanged. The second statement writes.
//! Nearly all changes concern prices and stock, and a text is expensive: its `tsvector` takes ten times as long as the
//! rest of the row, and Postgres computes it for every row that an INSERT proposes. So only rows with a new text are
//! inserted over the old ones; the others are updated in place.
//!
//! Both statements process rows by id, known rows before new ones and products before categories, so that two replicas
//! may wait for one another but cannot deadlock.

use std::collections::{BTreeMap, HashSet};

use database::sql;
use diesel::sql_types::{Array, BigInt, Bool, Integer, Nullable, Text};
use diesel_async::{AsyncPgConnection, RunQueryDsl};

use super::{Changes, Id};
use crate::error::RecommendationError;
use crate::positions::signed;

/// The columns of the rows, as `unnest` takes them.
#[derive(Debug, Default)]
pub(super) struct Rows<'a> {
    ids: Vec<i64>,
    names: Vec<&'a str>,
    descriptions: Vec<&'a str>,
    categories: Vec<i64>,
    prices: Vec<i64>,
    stocks: Vec<i32>,
    versions: Vec<i64>,
    deleted: Vec<bool>,
    numbers: Vec<i64>,
    /// Whether the known row has the same texts. The row is locked, so this stays true.
    same_text: Vec<bool>,
}

const LOCK: &str = "
    SELECT known.id, (known.name, known.description) = (new.name, new.description) AS same_text
    FROM products AS known JOIN unnest($1, $2, $3) AS new (id, name, description) USING (id)
    ORDER BY known.id FOR NO KEY UPDATE OF known";

/// A row is written when it is at least as new as the known one. If one of the two is deleted, their event numbers are
/// compared, otherwise their versions. The category name with the higher event number wins.
const WRITE: &str = "
    WITH new AS MATERIALIZED (
        SELECT * FROM unnest($4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
            AS new (id, name, description, category_id, price_cents, stock, version, deleted, seq, same_text)),
    updated AS (
        UPDATE products AS known SET
            category_id = new.category_id, price_cents = new.price_cents, stock = new.stock, version = new.version,
            deleted = false, seq = greatest(known.seq, new.seq),
            flipped = CASE WHEN (known.stock > 0 AND NOT known.deleted) = (new.stock > 0)
                           THEN known.flipped ELSE greatest(known.seq, new.seq) END
        FROM new
        WHERE known.id = new.id AND new.same_text AND NOT new.deleted
            AND CASE WHEN known.deleted THEN known.seq <= new.seq ELSE known.version <= new.version END
        RETURNING known.id, known.flipped),
    written AS (
        INSERT INTO products AS known
            (id, name, description, category_id, price_cents, stock, version, deleted, seq, flipped)
        SELECT id, name, description, category_id, price_cents, stock, version, deleted, seq, seq
            FROM new WHERE deleted OR NOT same_text ORDER BY id
        ON CONFLICT (id) DO UPDATE SET
            name = CASE WHEN excluded.deleted THEN known.name ELSE excluded.name END,
            description = CASE WHEN excluded.deleted THEN known.description ELSE excluded.description END,
            category_id = CASE WHEN excluded.deleted THEN known.category_id ELSE excluded.category_id END,
            price_cents = CASE WHEN excluded.deleted THEN known.price_cents ELSE excluded.price_cents END,
            stock = excluded.stock, version = excluded.version, deleted = excluded.deleted,
            seq = greatest(known.seq, excluded.seq),
            flipped = CASE WHEN (known.stock > 0 AND NOT known.deleted) = (excluded.stock > 0 AND NOT excluded.deleted)
                           THEN known.flipped ELSE greatest(known.seq, excluded.seq) END
        WHERE CASE WHEN excluded.deleted OR known.deleted THEN known.seq <= excluded.seq
                   ELSE known.version <= excluded.version END
        RETURNING id, flipped),
    named AS (
        INSERT INTO categories AS known (id, name, seq)
        SELECT new.* FROM (SELECT count(*) FROM written) AS before, unnest($1, $2, $3) AS new (id, name, seq) ORDER BY new.id
        ON CONFLICT (id) DO UPDATE SET name = excluded.name, seq = excluded.seq
        WHERE known.seq <= excluded.seq AND (known.name, known.seq) <> (excluded.name, excluded.seq)
        RETURNING id)
    SELECT id FROM updated WHERE flipped >= $14
    UNION SELECT id FROM written WHERE flipped >= $14
    UNION SELECT id FROM products WHERE id = ANY($4) AND flipped >= $14";

#[derive(diesel::QueryableByName)]
struct Locked {
    #[diesel(sql_type = BigInt)]
    id: i64,
    #[diesel(sql_type = Bool)]
    same_text: bool,
}

impl<'a> Rows<'a> {
    pub(super) fn of(changes: &'a Changes) -> Self {
        let mut rows = Self::default();
        for (product, number) in &changes.live {
            rows.names.push(product.name.as_str());
            rows.descriptions.push(product.description.as_str());
            rows.categories.push(product.category.id);
            rows.prices.push(product.price_cents);
            rows.stocks.push(product.stock);
            rows.push(product.id, product.version, *number, false);
        }
        for (id, version, number) in &changes.gone {
            rows.names.push("");
            rows.descriptions.push("");
            rows.categories.push(0);
            rows.prices.push(0);
            rows.stocks.push(0);
            rows.push(*id, *version, *number, true);
        }
        rows
    }

    fn push(&mut self, id: i64, version: i64, number: u64, deleted: bool) {
        self.ids.push(id);
        self.versions.push(version);
        self.numbers.push(signed(number));
        self.deleted.push(deleted);
        self.same_text.push(false);
    }

    /// Locks the known rows until the end of the transaction.
    pub(super) async fn lock(&mut self, connection: &mut AsyncPgConnection) -> Result<(), RecommendationError> {
        let locked: Vec<Locked> = sql(LOCK)
            .bind::<Array<BigInt>, _>(&self.ids)
            .bind::<Array<Text>, _>(&self.names)
            .bind::<Array<Text>, _>(&self.descriptions)
            .load(connection)
            .await?;
        let same: HashSet<i64> = locked.into_iter().filter(|row| row.same_text).map(|row| row.id).collect();
        self.same_text = self.ids.iter().map(|id| same.contains(id)).collect();
        Ok(())
    }

    /// Writes the rows and the category names. Each category name has the number of an event, and is at least as new as
    /// that event.
    pub(super) async fn write(
        &self, connection: &mut AsyncPgConnection, names: &BTreeMap<i64, (&str, u64)>, first: Option<u64>,
    ) -> Result<HashSet<i64>, RecommendationError> {
        let flipped: Vec<Id> = sql(WRITE)
            .bind::<Array<BigInt>, _>(names.keys().copied().collect::<Vec<_>>())
            .bind::<Array<Text>, _>(names.values().map(|(name, _)| *name).collect::<Vec<_>>())
            .bind::<Array<BigInt>, _>(names.values().map(|(_, number)| signed(*number)).collect::<Vec<_>>())
            .bind::<Array<BigInt>, _>(&self.ids)
            .bind::<Array<Text>, _>(&self.names)
            .bind::<Array<Text>, _>(&self.descriptions)
            .bind::<Array<BigInt>, _>(&self.categories)
            .bind::<Array<BigInt>, _>(&self.prices)
            .bind::<Array<Integer>, _>(&self.stocks)
            .bind::<Array<BigInt>, _>(&self.versions)
            .bind::<Array<Bool>, _>(&self.deleted)
            .bind::<Array<BigInt>, _>(&self.numbers)
            .bind::<Array<Bool>, _>(&self.same_text)
            .bind::<Nullable<BigInt>, _>(first.map(signed))
            .load(connection)
            .await?;
        Ok(flipped.into_iter().map(|row| row.id).collect())
    }
}
