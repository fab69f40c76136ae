//! The editors over HTTP: one of products and categories, one of carts.

use std::cell::RefCell;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use contract::STRATEGY_NAMES;
use rand::Rng;
use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::ledger::Ledger;
use super::range::{CREATED, STABLE, any_category, any_name, any_of};

/// The number of attempts until an edit that must succeed counts as refused for good: a minute and more.
pub(super) const ATTEMPTS: u32 = 3_000;
/// The pause after a refused request.
const PAUSE: Duration = Duration::from_millis(20);
/// The number of created products that are kept.
const KEPT: usize = 20;

/// A client that records what is acknowledged.
#[derive(Clone, Copy)]
pub(super) struct Editor<'a> {
    pub(super) http: &'a Client,
    pub(super) ledger: &'a RefCell<Ledger>,
    /// The pause after each edit.
    pub(super) pause: Duration,
    pub(super) stop: &'a CancellationToken,
}

impl Editor<'_> {
    /// Changes products by every strategy and by the plain route, moves them between categories, renames categories,
    /// creates products and deletes some of them.
    pub(super) async fn edit_products(self, api: &str) -> Result<()> {
        let (mut own, mut round) = (Vec::new(), 0_u32);
        while !self.stop.is_cancelled() {
            round += 1;
            let (id, category, number) = (any_of(STABLE), any_category(), rand::random_range(1..1_000_000));
            match round % 8 {
                0 => {
                    let new = json!({ "name": any_name(), "description": CREATED, "price_cents": number, "stock": 3, "category_id": category });
                    if let Some(product) = self.send(Method::POST, format!("{api}/products"), new).await {
                        let id = product["id"].as_i64().context("the product has no id")?;
                        let mut ledger = self.ledger.borrow_mut();
                        ledger.record_existence(id, true);
                        ledger.written(id, version(&product)?);
                        own.push(id);
                    }
                }
                2 => {
                    let moved = json!({ "category_id": category, "name": any_name() });
                    self.change(format!("{api}/products/production/{id}"), id, moved).await?;
                }
                4 => {
                    let name = json!({ "name": format!("Shelf {number}") });
                    self.send(Method::PUT, format!("{api}/categories/{category}"), name).await;
                }
                6 if own.len() > KEPT => {
                    let id = own.swap_remove(rand::random_range(0..own.len()));
                    self.insist(Method::DELETE, &format!("{api}/products/{id}"), None).await?;
                    self.ledger.borrow_mut().record_existence(id, false);
                }
                _ => {
                    let strategy = rand::random_range(0..=STRATEGY_NAMES.len());
                    let strategy = STRATEGY_NAMES.get(strategy).map(|name| format!("{name}/")).unwrap_or_default();
                    self.change(format!("{api}/products/{strategy}{id}"), id, json!({ "stock": number })).await?;
                }
            }
            sleep(self.pause).await;
        }
        Ok(())
    }

    /// Adds products to carts and removes them. Repeats each change until it is acknowledged, so that the last one
    /// counts.
    pub(super) async fn edit_carts(self, cart_service: &str, carts: &[String], products: &[i64]) -> Result<()> {
        while !self.stop.is_cancelled() {
            let cart = &carts[rand::random_range(0..carts.len())];
            let product = products[rand::random_range(0..products.len())];
            let quantity = rand::rng().random_range(0..4_i64);
            self.set_line(cart_service, cart, product, quantity).await?;
            sleep(self.pause).await;
        }
        Ok(())
    }

    /// Sets the quantity of a product in a cart; 0 removes the line.
    pub(super) async fn set_line(self, cart_service: &str, cart: &str, product: i64, quantity: i64) -> Result<()> {
        let url = format!("{cart_service}/carts/{cart}/items/{product}");
        match quantity {
            0 => self.insist(Method::DELETE, &url, None).await?,
            _ => self.insist(Method::PUT, &url, Some(json!({ "quantity": quantity }))).await?,
        }
        self.ledger.borrow_mut().lines.insert((cart.to_owned(), product), quantity);
        Ok(())
    }

    async fn change(self, url: String, id: i64, change: Value) -> Result<()> {
        if let Some(product) = self.send(Method::PUT, url, change).await {
            self.ledger.borrow_mut().written(id, version(&product)?);
        }
        Ok(())
    }

    /// Sends a request. Returns `None` if it was not acknowledged.
    async fn send(self, method: Method, url: String, body: Value) -> Option<Value> {
        let answer = async {
            let answer = self.http.request(method, url).json(&body).send().await?.error_for_status()?;
            answer.json().await
        };
        let answer = answer.await.ok();
        let mut ledger = self.ledger.borrow_mut();
        match answer {
            Some(_) => ledger.over_http += 1,
            None => ledger.unconfirmed += 1,
        }
        answer
    }

    /// Repeats a request until it is acknowledged: one without a response may have happened.
    async fn insist(self, method: Method, url: &str, body: Option<Value>) -> Result<()> {
        let mut last = None;
        for _ in 0..ATTEMPTS {
            let request = self.http.request(method.clone(), url);
            let request = body.iter().fold(request, |request, body| request.json(body));
            let status = request.send().await.map(|answer| answer.status()).ok();
            let is_gone = method == Method::DELETE && status == Some(StatusCode::NOT_FOUND);
            if is_gone || status.is_some_and(|status| status.is_success()) {
                self.ledger.borrow_mut().over_http += 1;
                return Ok(());
            }
            self.ledger.borrow_mut().unconfirmed += 1;
            last = status;
            sleep(PAUSE).await;
        }
        bail!("{method} {url} is not accepted: {last:?}")
    }
}

fn version(product: &Value) -> Result<i64> {
    product["version"].as_i64().with_context(|| format!("a product without a version: {product}"))
}
