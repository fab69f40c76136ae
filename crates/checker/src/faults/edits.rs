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
use futures_util::future::{join_all, try_join_all};
use futures_util::{StreamExt, TryStreamExt, stream};
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
use range::{ABSENT, CATEGORIES, CREATED, FLEETING, MOVES, QUERIES, QUIET, STABLE, any_name};

const CARTS: usize = 12;
/// Number of concurrent requests when the lines are removed.
const AT_ONCE: usize = 8;

/// How much the other programs do.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    /// The pause after each edit over HTTP, and in SQL.
    pause: Duration,
    in_sql: Duration,
    /// The editors of products over HTTP, besides one of carts and one in SQL.
    editors: usize,
    readers: usize,
}

impl Pace {
    /// Beside the checker, which has most of the load.
    pub(super) const PLANNED: Self =
        Self { pause: Duration::from_millis(20), in_sql: Duration::from_millis(40), editors: 1, readers: 2 };
    /// As much as possible, because the kills hit at random what is under way.
    pub(super) const RANDOM: Self =
        Self { pause: Duration::from_millis(2), in_sql: Duration::from_millis(20), editors: 2, readers: 4 };
}

/// The edited carts and categories, and what was acknowledged.
#[derive(Debug)]
pub(super) struct Edits {
    /// The base URLs of the services.
    at: [String; 4],
    /// The original names of the categories.
    names: Vec<String>,
    carts: Vec<String>,
    /// Products that are never edited. They are put into the carts too.
    quiet: Vec<i64>,
    pace: Pace,
    ledger: RefCell<Ledger>,
}

impl Edits {
    /// Creates the carts.
    pub(super) async fn prepare(target: &Target, http: &Client, pace: Pace) -> Result<Self> {
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
            carts.push(cart["id"].as_str().context("the cart has no id")?.to_owned());
        }
        Ok(Self { at, names, carts, quiet, pace, ledger: RefCell::default() })
    }

    /// Begins a fault: creates the products that exist during all of it, and starts a new ledger. The lines of the carts
    /// stay.
    pub(super) async fn begin(&self, target: &Target) -> Result<()> {
        let rows: Vec<_> = STABLE.map(|id| format!("({id}, '{}', 100, 3, {})", any_name(), MOVES[0])).collect();
        let created = format!(
            "INSERT INTO products (id, name, price_cents, stock, category_id) VALUES {} \
             ON CONFLICT (id) DO UPDATE SET stock = 3 RETURNING id, version",
            rows.join(", ")
        );
        let created = target.sql("shop_db", &created).await?;
        let mut ledger = self.ledger.borrow_mut();
        *ledger = Ledger { lines: std::mem::take(&mut ledger.lines), ..Ledger::default() };
        for (id, version) in pairs(&created) {
            ledger.record_existence(id, true);
            ledger.written(id, version);
        }
        Ok(())
    }

    /// Returns what was acknowledged since [`begin`](Self::begin).
    pub(super) fn ledger(&self) -> Ref<'_, Ledger> {
        self.ledger.borrow()
    }

    /// Edits and reads until `stop` is cancelled.
    pub(super) async fn work(&self, target: &Target, http: &Client, stop: &CancellationToken) -> Result<()> {
        let Pace { pause, in_sql, editors, readers } = self.pace;
        let editor = Editor { http, ledger: &self.ledger, pause, stop };
        let [shop, cart, ..] = &self.at;
        let in_carts: Vec<i64> = self.quiet.iter().copied().chain(STABLE).collect();
        let (products, carts, in_sql, _) = tokio::join!(
            try_join_all((0..editors).map(|_| editor.edit_products(shop))),
            editor.edit_carts(cart, &self.carts, &in_carts),
            in_sql::edit(target, &self.ledger, in_sql, stop),
            join_all((0..readers).map(|_| self.read(http, stop))),
        );
        products.and(carts).and(in_sql)
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
        urls.extend(self.absent_addresses());
        urls
    }

    /// Reads products that never exist, so that a cache holds that there are none.
    pub(super) async fn read_absent(&self, http: &Client) {
        for url in self.absent_addresses() {
            if let Ok(answer) = http.get(url).send().await {
                let _ = answer.bytes().await;
            }
        }
    }

    fn absent_addresses(&self) -> impl Iterator<Item = String> {
        let address = |id, strategy| format!("{}/products/{strategy}/{id}", self.at[Service::ProductApi as usize]);
        ABSENT.flat_map(move |id| ["explicit", "writethrough"].map(|strategy| address(id, strategy)))
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
            let lines = view["lines"].as_array().context("the cart has no lines")?.iter();
            let quantities = lines.filter_map(|line| Some((line["product_id"].as_i64()?, line["quantity"].as_i64()?)));
            missing.extend(self.ledger.borrow().missing_lines(cart, &quantities.collect()));
        }
        Ok(missing)
    }

    /// Ends a fault: removes the products that were created during it.
    pub(super) async fn end(&self, target: &Target) -> Result<()> {
        let sql = format!("DELETE FROM products WHERE id >= {} OR description = '{CREATED}'", FLEETING.start);
        target.sql("shop_db", &sql).await.map(drop)
    }

    /// Removes the lines of the carts and the other products, and restores the names of the categories.
    pub(super) async fn remove(&self, target: &Target, http: &Client) -> Result<()> {
        let stop = CancellationToken::new();
        let editor = Editor { http, ledger: &self.ledger, pause: self.pace.pause, stop: &stop };
        let lines: Vec<_> = self.ledger.borrow().lines.keys().cloned().collect();
        let removing = stream::iter(&lines).map(Ok).try_for_each_concurrent(AT_ONCE, |(cart, product)| {
            editor.set_line(&self.at[Service::Cart as usize], cart, *product, 0)
        });
        let removed = removing.await;
        let mut sql = format!("DELETE FROM products WHERE id >= {}", STABLE.start);
        for (category, name) in MOVES.iter().zip(&self.names) {
            let name = name.replace('\'', "''");
            sql.push_str(&format!("; UPDATE categories SET name = '{name}' WHERE id = {category}"));
        }
        target.sql("shop_db", &sql).await.context("the edits in SQL failed")?;
        removed
    }
}
