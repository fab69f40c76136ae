//! The checks after all events are applied: nothing is missing, and nothing is stale.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use anyhow::{Context, Result};
use serde_json::Value;
use testkit::private_system::Service;

use super::{Report, Stage, readers};
use crate::system;

/// Caches that events do not invalidate: each is invalidated only by its own strategy's writes or by its TTL, and this
/// experiment writes to the products by other paths as well.
const NOT_BY_EVENTS: [&str; 5] =
    ["product:ttl:", "product:explicit:", "product:writethrough:", "product:swr:", "product:featured:"];

/// Waits until everything is relayed and applied.
pub(super) async fn wait(stage: &Stage, report: &mut Report) {
    let began = Instant::now();
    if let Err(unsettled) = system::wait_until_idle(&stage.system, &stage.http).await {
        report.wrong.push(format!("{unsettled:#}"));
        for service in Service::ALL {
            let said = stage.system.output(service).await;
            let from = said.len() - said.len().min(2_000);
            let last = said.get(from..).unwrap_or_default();
            report.wrong.push(format!("the last words of {}:\n{last}", service.name()));
        }
    }
    report.settled = began.elapsed();
}

/// Checks all promises.
pub(super) async fn judge(stage: &Stage, report: &mut Report) -> Result<()> {
    streams(stage, report).await?;
    acknowledged(stage, report).await?;
    baskets(stage, report).await?;
    index(stage, report).await?;
    caches(stage, report).await
}

/// Checks that the streams end with the last number of the outbox and have no gaps.
async fn streams(stage: &Stage, report: &mut Report) -> Result<()> {
    for (database, stream) in [("shop_db", "product:events"), ("cart_db", "cart:events")] {
        let head: u64 = stage.system.postgres.sql(database, "SELECT seq FROM outbox_head").await?.parse()?;
        let ids = "local ids = {} for i, entry in ipairs(redis.call('XRANGE', KEYS[1], '-', '+')) do ids[i] = entry[1] end \
                   return table.concat(ids, ' ')";
        let ids = stage.system.redis.cli(&["EVAL", ids, "1", stream]).await?;
        let ids: Vec<u64> = ids.split_whitespace().filter_map(|id| id.strip_suffix("-0")?.parse().ok()).collect();
        if ids.last().copied().unwrap_or(0) != head && !(ids.is_empty() && head == 0) {
            report.wrong.push(format!("{stream} ends with {:?}, the outbox with {head}", ids.last()));
        }
        if let Some(hole) = ids.windows(2).find(|pair| pair[1] != pair[0] + 1) {
            report.wrong.push(format!("{stream} has a hole between {} and {}", hole[0], hole[1]));
        }
    }
    Ok(())
}

/// Checks that no acknowledged write, creation, deletion or line of a cart is missing.
async fn acknowledged(stage: &Stage, report: &mut Report) -> Result<()> {
    let rows = stage.system.postgres.sql("shop_db", "SELECT id, version FROM products").await?;
    let versions: BTreeMap<i64, i64> = pairs(&rows);
    let created = stage.ledger.created();
    for (id, acknowledged) in stage.ledger.versions() {
        let deleted = created.get(&id) == Some(&false);
        if !deleted && versions.get(&id).is_none_or(|version| *version < acknowledged) {
            let found = versions.get(&id);
            report.wrong.push(format!("product {id}: version {acknowledged} was acknowledged, and it has {found:?}"));
        }
    }
    for (id, exists) in created {
        if versions.contains_key(&id) != exists {
            report.wrong.push(format!("product {id}: its existence was acknowledged as {exists}"));
        }
    }
    for cart in &stage.carts {
        let url = format!("{}/carts/{cart}", stage.system.url(Service::Cart));
        let view: Value = stage.http.get(url).send().await?.error_for_status()?.json().await?;
        let lines = view["lines"].as_array().context("a cart has lines")?;
        let quantity = |product: i64| {
            let line = lines.iter().find(|line| line["product_id"] == product);
            line.and_then(|line| line["quantity"].as_i64()).unwrap_or(0)
        };
        for ((of, product), acknowledged) in stage.ledger.lines() {
            if of == *cart && quantity(product) != acknowledged {
                report.wrong.push(format!(
                    "cart {cart}, product {product}: {acknowledged} pieces were acknowledged, and it has {}",
                    quantity(product)
                ));
            }
        }
    }
    Ok(())
}

/// Checks that the recommendation service has every line of every cart with its current quantity.
async fn baskets(stage: &Stage, report: &mut Report) -> Result<()> {
    // The recommendation service stores only a reference of the cart.
    let reference = "encode(substr(sha256(uuid_send(cart_id)), 1, 16), 'hex')::uuid";
    let lines = |cart: &str, table: &str| {
        format!("SELECT {cart}, product_id, quantity FROM {table} WHERE quantity > 0 ORDER BY 1, 2")
    };
    let sold = stage.system.postgres.sql("cart_db", &lines(reference, "cart_items")).await?;
    let heard = stage.system.postgres.sql("recommendation_db", &lines("cart_id", "basket_items")).await?;
    let (sold, heard): (BTreeSet<&str>, BTreeSet<&str>) = (sold.lines().collect(), heard.lines().collect());
    for line in sold.symmetric_difference(&heard) {
        let who = if sold.contains(line) { "only the cart" } else { "only the recommendation" };
        report.wrong.push(format!("a line of a cart that {who} knows: {line}"));
    }
    report.baskets = sold.len();
    Ok(())
}

/// Checks that the index has every product of the catalogue in its current version, and no other product.
async fn index(stage: &Stage, report: &mut Report) -> Result<()> {
    let rows = stage.system.postgres.sql("shop_db", "SELECT id, version FROM products").await?;
    let catalogue: BTreeMap<i64, i64> = pairs(&rows);
    let mut indexed = BTreeMap::new();
    let mut cursor: Option<String> = None;
    loop {
        let mut url = format!("{}/search?q=&limit=100", stage.system.url(Service::Search));
        if let Some(cursor) = &cursor {
            url.push_str(&format!("&cursor={cursor}"));
        }
        let page: Value = stage.http.get(url).send().await?.error_for_status()?.json().await?;
        for product in page["hits"].as_array().context("a page has hits")? {
            let id = product["id"].as_i64().context("a hit has an id")?;
            indexed.insert(id, product["version"].as_i64().context("a hit has a version")?);
        }
        cursor = page["next_cursor"].as_str().map(str::to_owned);
        if cursor.is_none() {
            break;
        }
    }
    for id in catalogue.keys().chain(indexed.keys()) {
        let (row, document) = (catalogue.get(id), indexed.get(id));
        if row != document {
            report.wrong.push(format!("product {id}: version {row:?} in the catalogue, {document:?} in the index"));
        }
    }
    Ok(())
}

/// Checks that every response from a cache equals what a load would return now.
async fn caches(stage: &Stage, report: &mut Report) -> Result<()> {
    let urls = [readers::urls(stage), readers::fleeting(stage)].concat();
    let may_differ = |key: &str| NOT_BY_EVENTS.iter().any(|lane| key.starts_with(lane));
    let compared = system::compare(&stage.system, &stage.http, &urls, may_differ).await?;
    (report.compared, report.hits, report.absent) = (compared.compared, compared.hits, compared.absent);
    report.wrong.extend(compared.wrong);
    Ok(())
}

fn pairs(rows: &str) -> BTreeMap<i64, i64> {
    rows.lines()
        .filter_map(|row| row.split_once('|'))
        .filter_map(|(a, b)| Some((a.parse().ok()?, b.parse().ok()?)))
        .collect()
}
