//! Edits in SQL during a fault: products are created, deleted, changed and moved between categories, and categories are
//! renamed. Readers read all of that: the products (also ids that do not exist), and the lists and pages that may show
//! them. Their responses are not judged. The readers fill the caches with entries that may become outdated.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rand::Rng;
use reqwest::Client;
use testkit::private_system::Service;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::target::Target;
use crate::system::System;

/// The first id of the edited products, far above those that the database generates.
const FIRST: i64 = 7_000_000_000;
/// The number of products that are created and deleted. As many further ids never exist.
const PRODUCTS: i64 = 12;
/// The categories between which the products move, and one that never changes.
const MOVES: [u32; 3] = [2, 3, 4];
const QUIET: u32 = 7;
/// The pause between two changes.
const PAUSE: Duration = Duration::from_millis(80);
/// Timeout of a change.
const TIMEOUT: Duration = Duration::from_secs(3);

/// The addresses that are read, and the state to restore.
#[derive(Debug)]
pub(super) struct ConcurrentEdits {
    urls: Vec<String>,
    /// The original names of the categories.
    names: Vec<String>,
}

impl ConcurrentEdits {
    pub(super) async fn prepare(site: &Target) -> Result<Self> {
        let mut at = Vec::new();
        for service in Service::ALL {
            at.push(site.url(service).await?);
        }
        let [shop, _, search, recommendation] = &at[..] else { anyhow::bail!("four services") };
        let mut names = Vec::new();
        for category in MOVES {
            names.push(site.sql("shop_db", &format!("SELECT name FROM categories WHERE id = {category}")).await?);
        }
        let quiet = format!("SELECT id FROM products WHERE category_id = {QUIET} ORDER BY id LIMIT 6");
        let quiet = site.sql("shop_db", &quiet).await?;
        let mut urls = vec![format!("{search}/search?q=trinket"), format!("{search}/search?q=&limit=5")];
        urls.extend(quiet.lines().map(|id| format!("{recommendation}/recommendations/{id}")));
        for category in MOVES.into_iter().chain([QUIET]) {
            urls.push(format!("{shop}/products/by-category/{category}"));
            urls.push(format!("{search}/search?q=&category={category}"));
        }
        for id in FIRST..FIRST + PRODUCTS {
            urls.extend(["events", "tags", "production"].map(|lane| format!("{shop}/products/{lane}/{id}")));
            urls.push(format!("{recommendation}/recommendations/{id}"));
        }
        for id in FIRST + PRODUCTS..FIRST + 2 * PRODUCTS {
            urls.extend(["explicit", "writethrough", "tags"].map(|lane| format!("{shop}/products/{lane}/{id}")));
        }
        // The last category does not exist.
        urls.push(format!("{shop}/products/by-category/{FIRST}"));
        Ok(Self { urls, names })
    }

    /// Changes and reads until `stop` is cancelled. Returns the number of changes.
    pub(super) async fn work(&self, site: &Target, http: &Client, stop: &CancellationToken) -> u32 {
        let (changes, ..) = tokio::join!(change(site, stop), self.read(http, stop), self.read(http, stop));
        changes
    }

    /// Reads until `stop` is cancelled.
    pub(super) async fn read(&self, http: &Client, stop: &CancellationToken) {
        while !stop.is_cancelled() {
            let url = &self.urls[rand::rng().random_range(0..self.urls.len())];
            // The service may be down.
            if let Ok(answer) = http.get(url).send().await {
                let _ = answer.bytes().await;
            }
            sleep(Duration::from_millis(3)).await;
        }
    }

    /// Removes the products, and restores the names of the categories.
    pub(super) async fn clear(&self, site: &Target) -> Result<()> {
        let mut sql = format!("DELETE FROM products WHERE id >= {FIRST}");
        for (category, name) in MOVES.iter().zip(&self.names) {
            let name = name.replace('\'', "''");
            sql.push_str(&format!("; UPDATE categories SET name = '{name}' WHERE id = {category}"));
        }
        site.sql("shop_db", &sql).await.map(drop).context("what somebody with psql has changed")
    }
}

async fn change(site: &Target, stop: &CancellationToken) -> u32 {
    let (mut psql, mut changes) = (None, 0);
    while !stop.is_cancelled() {
        let made = timeout(TIMEOUT, async {
            let session = match &mut psql {
                Some(session) => session,
                none => none.insert(site.psql_session()?),
            };
            let failed = session.ask(&format!("{};\n\\echo :ERROR", statement())).await?;
            ensure!(failed == "false", "the statement was refused");
            anyhow::Ok(())
        });
        match made.await {
            Ok(Ok(())) => changes += 1,
            // Postgres is unavailable; the next change opens a new connection.
            _ => psql = None,
        }
        sleep(PAUSE).await;
    }
    changes
}

/// Returns a random change.
fn statement() -> String {
    let mut random = rand::rng();
    let id = FIRST + random.random_range(0..PRODUCTS);
    let category = MOVES[random.random_range(0..MOVES.len())];
    let number = random.random_range(1..1_000_000);
    match random.random_range(0..8) {
        0..=2 => format!(
            "INSERT INTO products (id, name, price_cents, stock, category_id) \
             VALUES ({id}, 'Trinket {number}', {number}, 3, {category}) ON CONFLICT DO NOTHING"
        ),
        3 => format!("DELETE FROM products WHERE id = {id}"),
        4..=5 => format!("UPDATE products SET category_id = {category} WHERE id = {id}"),
        6 => format!("UPDATE products SET price_cents = {number} WHERE id = {id}"),
        _ => format!("UPDATE categories SET name = 'Corner {number}' WHERE id = {category}"),
    }
}
