//! The editor that changes rows with psql. Only the outbox announces these changes.

use std::cell::RefCell;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rand::Rng;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::ledger::Ledger;
use super::over_http::ATTEMPTS;
use super::range::{FLEETING, STABLE, any_category, any_name, any_of};
use crate::faults::stack::StoreClient;
use crate::faults::target::Target;
use crate::system::pairs;

/// Timeout of a change. Postgres cancels the statement earlier, so that it is not executed after the editor has
/// repeated it.
const TIMEOUT: Duration = Duration::from_secs(3);
const STATEMENT_TIMEOUT: &str = "SET statement_timeout = '2s'";
/// The number of changes in a transaction that moves one product and changes the prices of the others.
const BATCH: usize = 8;

/// What a statement does to the existence of a product.
enum Effect {
    Creates(i64),
    Deletes(i64),
    Changes,
}

/// Changes rows until `stop` is cancelled, with a pause after each change.
pub(super) async fn edit(
    target: &Target, ledger: &RefCell<Ledger>, pause: Duration, stop: &CancellationToken,
) -> Result<()> {
    let mut psql = None;
    while !stop.is_cancelled() {
        let (sql, effect) = statement();
        let mut rows = run(&mut psql, target, &sql).await;
        if !matches!(effect, Effect::Changes) {
            // A creation or a deletion is repeated until it is confirmed: without a reply, it may have been committed.
            let mut attempts = 0;
            while rows.is_none() {
                ledger.borrow_mut().unconfirmed += 1;
                attempts += 1;
                ensure!(attempts < ATTEMPTS, "Postgres does not accept {sql}");
                sleep(pause).await;
                rows = run(&mut psql, target, &sql).await;
            }
        }
        record(&mut ledger.borrow_mut(), &effect, rows);
        sleep(pause).await;
    }
    Ok(())
}

/// Returns the rows of a statement, or `None` if it is not known whether it was committed.
async fn run(psql: &mut Option<StoreClient>, target: &Target, sql: &str) -> Option<Vec<String>> {
    let made = timeout(TIMEOUT, async {
        if psql.is_none() {
            psql.insert(target.psql()?).sql(STATEMENT_TIMEOUT).await?;
        }
        psql.as_mut().context("the connection was not opened")?.sql(sql).await
    });
    let rows = made.await.ok().and_then(Result::ok);
    if rows.is_none() {
        // Postgres is unavailable; the next change opens a new connection.
        *psql = None;
    }
    rows
}

/// Records a statement with its rows of id and version, or with `None` if it is not known whether it was committed.
fn record(ledger: &mut Ledger, effect: &Effect, rows: Option<Vec<String>>) {
    let Some(rows) = rows else {
        ledger.unconfirmed += 1;
        return;
    };
    ledger.in_sql += 1;
    match effect {
        // Without a row, the product was there already.
        Effect::Creates(id) => ledger.record_existence(*id, true),
        Effect::Deletes(id) => ledger.record_existence(*id, false),
        Effect::Changes => {}
    }
    pairs(&rows.join("\n")).into_iter().for_each(|(id, version)| ledger.written(id, version));
}

/// Returns a random change. All its statements are one transaction.
fn statement() -> (String, Effect) {
    let mut random = rand::rng();
    let (fleeting, category) = (any_of(FLEETING), any_category());
    let number = random.random_range(1..1_000_000);
    let any = || any_of(STABLE.start..FLEETING.end);
    let update = |set: String, which: String| format!("UPDATE products SET {set} WHERE {which} RETURNING id, version");
    let one = |set: String| update(set, format!("id = {}", any()));
    let sql = match random.random_range(0..40) {
        0..=12 => {
            let insert = format!(
                "INSERT INTO products (id, name, price_cents, stock, category_id) \
                 VALUES ({fleeting}, '{}', {number}, 3, {category}) ON CONFLICT DO NOTHING RETURNING id, version",
                any_name()
            );
            return (insert, Effect::Creates(fleeting));
        }
        13..=16 => return (format!("DELETE FROM products WHERE id = {fleeting}"), Effect::Deletes(fleeting)),
        17..=20 => one(format!("category_id = {category}")),
        21..=24 => one(format!("price_cents = {number}")),
        25..=34 => {
            let prices = (1..BATCH).map(|_| one(format!("price_cents = {number}")));
            // psql sends what `\;` separates as one query, which is one transaction.
            std::iter::once(one(format!("category_id = {category}"))).chain(prices).collect::<Vec<_>>().join("\\; ")
        }
        // Many events at once.
        35 => update("stock = stock + 1".to_owned(), format!("id >= {} AND id < {}", STABLE.start, FLEETING.end)),
        _ => format!("UPDATE categories SET name = 'Corner {number}' WHERE id = {category}"),
    };
    (sql, Effect::Changes)
}
