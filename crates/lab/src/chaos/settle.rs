//! When the dust has settled: is everything there, and is nothing stale?

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde_json::Value;
use tokio::time::sleep;

use super::{Report, Stage, readers};
use crate::demo::metrics::Metrics;
use crate::world::Service;

/// Longer than any claim time, time-out and retry in the system together.
const PATIENCE: Duration = Duration::from_secs(60);

/// Waits until everything is relayed and applied, then looks.
pub(super) async fn judge(stage: &Stage) -> Result<Report> {
    let mut report = Report::default();
    let began = Instant::now();
    loop {
        let unsettled = unsettled(stage).await;
        if unsettled.is_empty() {
            break;
        }
        if began.elapsed() > PATIENCE {
            report.wrong.extend(unsettled.into_iter().map(|what| format!("still so after {PATIENCE:?}: {what}")));
            for service in Service::ALL {
                let said = stage.world.output(service).await;
                let from = said.len() - said.len().min(2_000);
                let last = said.get(from..).unwrap_or_default();
                report.wrong.push(format!("the last words of {}:\n{last}", service.name()));
            }
            break;
        }
        sleep(Duration::from_millis(50)).await;
    }
    report.settled = began.elapsed();
    streams(stage, &mut report).await?;
    acknowledged(stage, &mut report).await?;
    baskets(stage, &mut report).await?;
    index(stage, &mut report).await?;
    caches(stage, &mut report).await?;
    Ok(report)
}

/// What is still under way.
async fn unsettled(stage: &Stage) -> Vec<String> {
    let mut under_way = Vec::new();
    for database in ["shop_db", "cart_db"] {
        let undone = stage.world.postgres.sql(database, "SELECT count(*) FROM outbox WHERE done_at IS NULL").await;
        if undone.as_deref().ok() != Some("0") {
            under_way.push(format!("{database} has outbox rows that are not done: {undone:?}"));
        }
    }
    let head = stage.world.postgres.sql("shop_db", "SELECT seq FROM outbox_head").await;
    let head: Option<f64> = head.ok().and_then(|head| head.parse().ok());
    for service in Service::ALL {
        let metrics = match metrics(stage, service).await {
            Ok(metrics) => metrics,
            Err(error) => {
                under_way.push(format!("{}: {error:#}", service.name()));
                continue;
            }
        };
        let busy = [
            "cache_breaker_open",
            "cache_repairs_pending",
            "events_lag",
            "search_invalidations_owed",
            "recommendation_learning_pending",
        ];
        for name in busy {
            under_way.extend(metrics.nonzero(name).map(|sample| format!("{}: {sample}", service.name())));
        }
        // An event is in the index a moment after it counts as carried out.
        let position = metrics.sum("search_index_position", &[]);
        if service == Service::Search && Some(position) != head {
            under_way.push(format!("the index is at {position}, and the outbox at {head:?}"));
        }
        let consumers = match service {
            Service::ProductApi => 0.0,
            Service::Cart | Service::Search => 1.0,
            Service::Recommendation => 2.0,
        };
        if metrics.sum("events_connected", &[]) != consumers {
            under_way.push(format!("{} is not connected to its streams", service.name()));
        }
    }
    under_way
}

async fn metrics(stage: &Stage, service: Service) -> Result<Metrics> {
    let answer = stage.http.get(format!("{}/metrics", stage.world.url(service))).send().await?.error_for_status()?;
    Ok(Metrics::parse(&answer.text().await?))
}

/// The streams end with the last number, and have no holes.
async fn streams(stage: &Stage, report: &mut Report) -> Result<()> {
    for (database, stream) in [("shop_db", "product:events"), ("cart_db", "cart:events")] {
        let head: u64 = stage.world.postgres.sql(database, "SELECT seq FROM outbox_head").await?.parse()?;
        let ids = "local ids = {} for i, entry in ipairs(redis.call('XRANGE', KEYS[1], '-', '+')) do ids[i] = entry[1] end \
                   return table.concat(ids, ' ')";
        let ids = stage.world.redis.cli(&["EVAL", ids, "1", stream]).await?;
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

/// No acknowledged write, creation, deletion or line of a cart is missing.
async fn acknowledged(stage: &Stage, report: &mut Report) -> Result<()> {
    let rows = stage.world.postgres.sql("shop_db", "SELECT id, version FROM products").await?;
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
        let url = format!("{}/carts/{cart}", stage.world.url(Service::Cart));
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

/// The recommendation knows every line of every cart, as it is.
async fn baskets(stage: &Stage, report: &mut Report) -> Result<()> {
    let lines =
        |table: &str| format!("SELECT cart_id, product_id, quantity FROM {table} WHERE quantity > 0 ORDER BY 1, 2");
    let sold = stage.world.postgres.sql("cart_db", &lines("cart_items")).await?;
    let heard = stage.world.postgres.sql("recommendation_db", &lines("basket_items")).await?;
    let (sold, heard): (BTreeSet<&str>, BTreeSet<&str>) = (sold.lines().collect(), heard.lines().collect());
    for line in sold.symmetric_difference(&heard) {
        let who = if sold.contains(line) { "only the cart" } else { "only the recommendation" };
        report.wrong.push(format!("a line of a cart that {who} knows: {line}"));
    }
    report.baskets = sold.len();
    Ok(())
}

/// The index has every product of the catalogue in its present version, and no other.
async fn index(stage: &Stage, report: &mut Report) -> Result<()> {
    let rows = stage.world.postgres.sql("shop_db", "SELECT id, version FROM products").await?;
    let catalogue: BTreeMap<i64, i64> = pairs(&rows);
    let mut indexed = BTreeMap::new();
    let mut cursor: Option<String> = None;
    loop {
        let mut url = format!("{}/search?q=&limit=100", stage.world.url(Service::Search));
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

/// Whatever comes from a cache is what would be loaded now.
async fn caches(stage: &Stage, report: &mut Report) -> Result<()> {
    let urls = readers::urls(stage);
    let mut cached = Vec::with_capacity(urls.len());
    for url in &urls {
        let (status, hit, body) = read(stage, url).await?;
        report.compared += 1;
        let from = Service::ALL.into_iter().position(|service| url.starts_with(&stage.world.url(service)));
        report.hits[from.context("every address is one of a service")?] += u32::from(hit);
        cached.push((status, body));
    }
    for service in Service::ALL {
        forget(stage, service).await?;
    }
    for (url, cached) in urls.iter().zip(cached) {
        let (status, _, body) = read(stage, url).await?;
        if (status, &body) != (cached.0, &cached.1) {
            report.wrong.push(format!(
                "{url}\n    from its cache  {} {}\n    loaded          {status} {body}",
                cached.0, cached.1
            ));
        }
    }
    Ok(())
}

async fn read(stage: &Stage, url: &str) -> Result<(u16, bool, Value)> {
    let answer = stage.http.get(url).send().await?;
    let status = answer.status().as_u16();
    let header = answer.headers().get("cache-status").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let hit = header.split(';').any(|part| part.trim() == "hit");
    let mut body: Value = answer.json().await.with_context(|| format!("{url} is not JSON"))?;
    // How far the index or the copy of the catalogue was is not what the answer says.
    if let Some(body) = body.as_object_mut() {
        body.remove("index");
        body.remove("catalogue");
    }
    Ok((status, hit, body))
}

/// Removes every entry of a service behind its back.
async fn forget(stage: &Stage, service: Service) -> Result<()> {
    let scan = "local cursor = '0' repeat local page = redis.call('SCAN', cursor, 'MATCH', ARGV[1], 'COUNT', 1000, 'TYPE', 'string') \
                cursor = page[1] for _, key in ipairs(page[2]) do redis.call('UNLINK', key) end until cursor == '0'";
    let pattern = format!("{}:[^~]*", service.name().trim_end_matches("-api"));
    stage.world.redis.cli(&["EVAL", scan, "0", &pattern]).await.map(drop)
}

fn pairs(rows: &str) -> BTreeMap<i64, i64> {
    rows.lines()
        .filter_map(|row| row.split_once('|'))
        .filter_map(|(a, b)| Some((a.parse().ok()?, b.parse().ok()?)))
        .collect()
}
