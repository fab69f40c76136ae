//! The editor with psql. Only the outbox announces its changes.

use std::cell::RefCell;
use std::time::Duration;

use rand::Rng;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::ledger::Ledger;
use super::range::{FLEETING, STABLE, any_category, any_of};
use crate::faults::target::Target;
use crate::system::pairs;

/// The pause between two changes.
const PAUSE: Duration = Duration::from_millis(40);
/// Timeout of a change.
const TIMEOUT: Duration = Duration::from_secs(3);

/// What a statement does to the existence of a product.
enum Effect {
    Creates(i64),
    Deletes(i64),
    Changes,
}

/// Changes rows until `stop` is cancelled.
pub(super) async fn edit(target: &Target, ledger: &RefCell<Ledger>, stop: &CancellationToken) {
    let mut psql = None;
    while !stop.is_cancelled() {
        let (sql, effect) = statement();
        let made = timeout(TIMEOUT, async {
            let client = match &mut psql {
                Some(client) => client,
                none => none.insert(target.psql()?),
            };
            client.sql(&sql).await
        });
        let rows = made.await.ok().and_then(Result::ok);
        if rows.is_none() {
            // Postgres is unavailable; the next change opens a new connection.
            psql = None;
        }
        record(&mut ledger.borrow_mut(), &effect, rows.map(|rows| rows.join("\n")));
        sleep(PAUSE).await;
    }
}

/// Records a statement with its rows of id and version, or with `None` if it is not known whether it was committed.
fn record(ledger: &mut Ledger, effect: &Effect, rows: Option<String>) {
    let Some(rows) = rows else {
        ledger.refused += 1;
        if let Effect::Creates(id) | Effect::Deletes(id) = effect {
            ledger.forget(*id);
        }
        return;
    };
    ledger.in_sql += 1;
    match effect {
        Effect::Creates(_) => pairs(&rows).into_iter().for_each(|(id, version)| ledger.created(id, version)),
        Effect::Deletes(id) => ledger.deleted(*id),
        Effect::Changes => pairs(&rows).into_iter().for_each(|(id, version)| ledger.written(id, version)),
    }
}

/// Returns a random change.
fn statement() -> (String, Effect) {
    let mut random = rand::rng();
    let (id, fleeting, category) = (any_of(STABLE.start..FLEETING.end), any_of(FLEETING), any_category());
    let number = random.random_range(1..1_000_000);
    let update = |set: String, which: String| {
        (format!("UPDATE products SET {set} WHERE {which} RETURNING id, version"), Effect::Changes)
    };
    match random.random_range(0..18) {
        0..=5 => (
            format!(
                "INSERT INTO products (id, name, price_cents, stock, category_id) \
                 VALUES ({fleeting}, 'Trinket {number}', {number}, 3, {category}) \
                 ON CONFLICT DO NOTHING RETURNING id, version"
            ),
            Effect::Creates(fleeting),
        ),
        6..=7 => (format!("DELETE FROM products WHERE id = {fleeting}"), Effect::Deletes(fleeting)),
        8..=11 => update(format!("category_id = {category}"), format!("id = {id}")),
        12..=14 => update(format!("price_cents = {number}"), format!("id = {id}")),
        // One transaction with many events.
        15 => update("stock = stock + 1".to_owned(), format!("id >= {} AND id < {}", STABLE.start, FLEETING.end)),
        _ => (format!("UPDATE categories SET name = 'Corner {number}' WHERE id = {category}"), Effect::Changes),
    }
}
