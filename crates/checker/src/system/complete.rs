//! Access to a running system, and whether everything that was committed has arrived: in the streams, in the recommendation service, and in the index.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;

use anyhow::{Context, Result};
use reqwest::Client;
use serde_json::Value;
use testkit::private_system::{PrivateSystem, Service};

/// A system with four services, Postgres and Redis.
pub(crate) trait System {
    /// Returns the base URL of a service.
    fn url(&self, service: Service) -> impl Future<Output = Result<String>>;
    /// Returns the base URL of every process, with its service.
    fn processes(&self) -> impl Future<Output = Result<Vec<(Service, String)>>> {
        async {
            let mut all = Vec::new();
            for service in Service::ALL {
                all.push((service, self.url(service).await?));
            }
            Ok(all)
        }
    }
    /// Returns rows of one of the databases, with columns separated by `|`.
    fn sql(&self, database: &str, sql: &str) -> impl Future<Output = Result<String>>;
    /// Sends a command to Redis as the admin user.
    fn redis(&self, arguments: &[&str]) -> impl Future<Output = Result<String>>;
}

impl System for PrivateSystem {
    async fn url(&self, service: Service) -> Result<String> {
        Ok(Self::url(self, service))
    }

    async fn sql(&self, database: &str, sql: &str) -> Result<String> {
        self.postgres.sql(database, sql).await
    }

    async fn redis(&self, arguments: &[&str]) -> Result<String> {
        self.redis.cli(arguments).await
    }
}

/// Parses rows of two numbers, `1|2`. Other rows are skipped.
pub(crate) fn pairs(rows: &str) -> BTreeMap<i64, i64> {
    rows.lines()
        .filter_map(|row| row.split_once('|'))
        .filter_map(|(a, b)| Some((a.parse().ok()?, b.parse().ok()?)))
        .collect()
}

/// Returns which streams have gaps, or end with another number than the outbox.
pub(crate) async fn stream_gaps(system: &impl System) -> Result<Vec<String>> {
    let mut wrong = Vec::new();
    for (database, stream) in [("shop_db", "product:events"), ("cart_db", "cart:events")] {
        let head: u64 = system.sql(database, "SELECT seq FROM outbox_head").await?.trim().parse()?;
        let ids = "local ids = {} for i, entry in ipairs(redis.call('XRANGE', KEYS[1], '-', '+')) do ids[i] = entry[1] end \
                   return table.concat(ids, ' ')";
        let ids = system.redis(&["EVAL", ids, "1", stream]).await?;
        let ids: Vec<u64> = ids.split_whitespace().filter_map(|id| id.strip_suffix("-0")?.parse().ok()).collect();
        if ids.last().copied().unwrap_or(0) != head && !(ids.is_empty() && head == 0) {
            wrong.push(format!("{stream} ends with {:?}, the outbox with {head}", ids.last()));
        }
        if let Some(gap) = ids.windows(2).find(|pair| pair[1] != pair[0] + 1) {
            wrong.push(format!("{stream} has a gap between {} and {}", gap[0], gap[1]));
        }
    }
    Ok(wrong)
}

/// Compares the lines of all carts with those that the recommendation service knows. Returns the number of lines, and
/// the differences.
pub(crate) async fn differing_lines(system: &impl System) -> Result<(usize, Vec<String>)> {
    // The recommendation service stores only a reference of the cart.
    let reference = "encode(substr(sha256(uuid_send(cart_id)), 1, 16), 'hex')::uuid";
    let lines = |cart: &str, table: &str| {
        format!("SELECT {cart}, product_id, quantity FROM {table} WHERE quantity > 0 ORDER BY 1, 2")
    };
    let sold = system.sql("cart_db", &lines(reference, "cart_items")).await?;
    let known = system.sql("recommendation_db", &lines("cart_id", "basket_items")).await?;
    let (sold, known): (BTreeSet<&str>, BTreeSet<&str>) = (sold.lines().collect(), known.lines().collect());
    let only = |line: &&str| if sold.contains(line) { "the cart service" } else { "the recommendation service" };
    let differences = sold.symmetric_difference(&known);
    let differences = differences.map(|line| format!("a line of a cart that only {} knows: {line}", only(line)));
    Ok((sold.len(), differences.collect()))
}

/// Returns the products whose version in the index differs from `versions`, which are those of the catalogue, and the
/// products that only one of the two has.
pub(crate) async fn index_differences(
    system: &impl System, http: &Client, versions: &BTreeMap<i64, i64>,
) -> Result<Vec<String>> {
    let mut indexed = BTreeMap::new();
    let (base, mut cursor) = (system.url(Service::Search).await?, String::new());
    loop {
        let page = http.get(format!("{base}/search?q=&limit=100{cursor}")).send().await?.error_for_status()?;
        let page: Value = page.json().await?;
        for product in page["hits"].as_array().context("the page has no hits")? {
            let id = product["id"].as_i64().context("the hit has no id")?;
            indexed.insert(id, product["version"].as_i64().context("the hit has no version")?);
        }
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    let ids: BTreeSet<i64> = versions.keys().chain(indexed.keys()).copied().collect();
    let differs = ids.iter().filter(|id| versions.get(id) != indexed.get(id));
    let differs = differs.map(|id| {
        let (row, document) = (versions.get(id), indexed.get(id));
        format!("product {id}: version {row:?} in the catalogue, {document:?} in the index")
    });
    Ok(differs.collect())
}

/// Returns the versions of all products, by id.
pub(crate) async fn versions(system: &impl System) -> Result<BTreeMap<i64, i64>> {
    Ok(pairs(&system.sql("shop_db", "SELECT id, version FROM products").await?))
}
