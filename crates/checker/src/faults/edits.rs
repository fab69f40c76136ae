//! Edits by other programs during a fault, besides the checker's own reads and writes: in SQL and over HTTP, products
//! are created, deleted, changed and moved between categories, categories are renamed, and carts are filled.
//!
//! Readers read all of that: the products (also ids that do not exist), and the lists, carts and pages that may show
//! them. Their responses are not judged. They fill the caches with entries that may become outdated.

mod in_sql;
mod ledger;
mod over_http;
mod range;

use std::cell::{Ref, RefCell};
use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result};
use contract::{STRATEGIES, Staleness};
use rand::Rng;
use rand::seq::IteratorRandom;
use reqwest::Client;
use serde_json::{Value, json};
use testkit::private_system::Service;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::target::Target;
use crate::system::{System, pairs};
pub(super) use ledger::Ledger;
use over_http::Editor;
use range::{ABSENT, CATEGORIES, CREATED, MOVES, QUIET, STABLE};

/// The number of carts that are filled.
const CARTS: usize = 6;
/// Searches whose pages show edited products, and others.
const QUERIES: [&str; 6] = ["trinket", "wireless", "steel", "keyboard", "coffee", "a"];

/// The edited carts and categories, and what was acknowledged.
#[derive(Debug)]
pub(super) struct Edits {
    /// The base URLs of the services.
    at: [String; 4],
    /// The original names of the categories.
    names: Vec<String>,
    carts: Vec<String>,
    /// Products that are never edited. They are put into the carts.
    quiet: Vec<i64>,
    ledger: RefCell<Ledger>,
}

impl Edits {
    /// Creates the carts.
    pub(super) async fn prepare(target: &Target, http: &Client) -> Result<Self> {
        let mut at = <[String; 4]>::default();
        for service in Service::ALL {
            at[service as usize] = target.url(service).await?;
        }
        let mut names = Vec::new();
        for category in MOVES {
            names.push(target.sql("shop_db", &format!("SELECT name FROM categories WHERE id = {category}")).await?);
        }
        let quiet = format!("SELECT id FROM products WHERE category_id = {QUIET} ORDER BY id LIMIT 6");
        let quiet =
            target.sql("shop_db", &quiet).await?.lines().map(str::parse::<i64>).collect::<Result<Vec<_>, _>>()?;
        let mut carts = Vec::new();
        for _ in 0..CARTS {
            let url = format!("{}/carts", at[Service::Cart as usize]);
            let cart: Value = http.post(url).json(&json!({})).send().await?.error_for_status()?.json().await?;
            carts.push(cart["id"].as_str().context("a cart has an id")?.to_owned());
        }
        Ok(Self { at, names, carts, quiet, ledger: RefCell::default() })
    }

    /// Begins a fault: creates the products that exist during all of it, and starts a new ledger.
    pub(super) async fn begin(&self, target: &Target) -> Result<()> {
        let created = format!(
            "INSERT INTO products (id, name, price_cents, stock, category_id) \
             SELECT id, 'Trinket ' || id, 100, 3, {} FROM generate_series({}, {}) id \
             ON CONFLICT (id) DO UPDATE SET stock = 3 RETURNING id, version",
            MOVES[0],
            STABLE.start,
            STABLE.end - 1
        );
        let created = target.sql("shop_db", &created).await?;
        let mut ledger = Ledger::default();
        pairs(&created).into_iter().for_each(|(id, version)| ledger.created(id, version));
        self.ledger.replace(ledger);
        Ok(())
    }

    /// Returns what was acknowledged since [`begin`](Self::begin).
    pub(super) fn ledger(&self) -> Ref<'_, Ledger> {
        self.ledger.borrow()
    }

    /// Edits and reads until `stop` is cancelled.
    pub(super) async fn work(&self, target: &Target, http: &Client, stop: &CancellationToken) -> Result<()> {
        let editor = Editor { http, ledger: &self.ledger, stop };
        let (products, carts, ..) = tokio::join!(
            editor.edit_products(&self.at[Service::ProductApi as usize]),
            editor.edit_carts(&self.at[Service::Cart as usize], &self.carts, &self.quiet),
            in_sql::edit(target, &self.ledger, stop),
            self.read(http, stop),
            self.read(http, stop),
        );
        products.and(carts)
    }

    /// Reads until `stop` is cancelled.
    pub(super) async fn read(&self, http: &Client, stop: &CancellationToken) {
        let addresses = self.lasting_addresses();
        while !stop.is_cancelled() {
            let created = match rand::rng().random_range(0..4) {
                0 => self.created_addresses().into_iter().choose(&mut rand::rng()),
                _ => None,
            };
            let url = created.unwrap_or_else(|| addresses[rand::random_range(0..addresses.len())].clone());
            // The service may be down.
            if let Ok(answer) = http.get(url).send().await {
                let _ = answer.bytes().await;
            }
            sleep(Duration::from_millis(3)).await;
        }
    }

    /// Returns all addresses that are read.
    pub(super) fn addresses(&self) -> Vec<String> {
        [self.lasting_addresses(), self.created_addresses()].concat()
    }

    /// Returns whether an entry may differ from its row: a write through another strategy does not reach it.
    pub(super) fn may_differ(key: &str) -> bool {
        let id = key.strip_prefix("product:writethrough:").and_then(|id| id.parse().ok());
        id.is_some_and(|id| STABLE.contains(&id))
    }

    fn lasting_addresses(&self) -> Vec<String> {
        let [shop, cart, search, recommendation] = &self.at;
        let mut urls = vec![format!("{search}/search?q=&limit=5")];
        urls.extend(QUERIES.map(|query| format!("{search}/search?q={query}")));
        urls.extend((1..=CATEGORIES).map(|id| format!("{search}/search?q=&category={id}")));
        // The last category does not exist.
        urls.extend((1..=CATEGORIES).chain([ABSENT.start]).map(|id| format!("{shop}/products/by-category/{id}")));
        urls.extend(self.quiet.iter().map(|id| format!("{recommendation}/recommendations/{id}")));
        for id in &self.carts {
            urls.extend([format!("{cart}/carts/{id}"), format!("{recommendation}/recommendations?cart={id}")]);
        }
        for id in STABLE.start..ABSENT.end {
            urls.extend(self.of_product(id));
        }
        for id in ABSENT {
            urls.extend(["explicit", "writethrough"].map(|strategy| format!("{shop}/products/{strategy}/{id}")));
        }
        urls
    }

    /// Returns the addresses of products that were created over HTTP, including those that were deleted since.
    fn created_addresses(&self) -> Vec<String> {
        let ledger = self.ledger.borrow();
        ledger.existence.keys().filter(|id| **id < STABLE.start).flat_map(|id| self.of_product(*id)).collect()
    }

    fn of_product(&self, id: i64) -> Vec<String> {
        let [shop, .., recommendation] = &self.at;
        // The caches of products that events invalidate.
        let by_events = STRATEGIES.iter().filter(|strategy| strategy.other == Staleness::Delivery);
        let products = by_events.map(|strategy| format!("{shop}/products/{}/{id}", strategy.name));
        products.chain([format!("{recommendation}/recommendations/{id}")]).collect()
    }

    /// Returns the acknowledged edits that are missing in the product API, whose products have these versions, or in
    /// the cart service.
    pub(super) async fn missing(&self, versions: &BTreeMap<i64, i64>, http: &Client) -> Result<Vec<String>> {
        let mut missing = self.ledger.borrow().missing_products(versions);
        for cart in &self.carts {
            let url = format!("{}/carts/{cart}", self.at[Service::Cart as usize]);
            let view: Value = http.get(url).send().await?.error_for_status()?.json().await?;
            let lines = view["lines"].as_array().context("a cart has lines")?.iter();
            let quantities = lines.filter_map(|line| Some((line["product_id"].as_i64()?, line["quantity"].as_i64()?)));
            missing.extend(self.ledger.borrow().missing_lines(cart, &quantities.collect()));
        }
        Ok(missing)
    }

    /// Removes the products and the lines of the carts, and restores the names of the categories.
    pub(super) async fn clear(&self, target: &Target, http: &Client) -> Result<()> {
        let mut sql = format!("DELETE FROM products WHERE id >= {} OR description = '{CREATED}'", STABLE.start);
        for (category, name) in MOVES.iter().zip(&self.names) {
            let name = name.replace('\'', "''");
            sql.push_str(&format!("; UPDATE categories SET name = '{name}' WHERE id = {category}"));
        }
        target.sql("shop_db", &sql).await.context("the edits in SQL")?;
        let editor = Editor { http, ledger: &self.ledger, stop: &CancellationToken::new() };
        let lines: Vec<_> = self.ledger.borrow().lines.keys().cloned().collect();
        for (cart, product) in lines {
            editor.set_line(&self.at[Service::Cart as usize], &cart, product, 0).await?;
        }
        Ok(())
    }
}
