//! The writers: two use the product API, one the cart; the one in SQL is in `psql.rs`.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rand::Rng;
use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};
use testkit::private_system::{PrivateSystem, Service};
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::{CATEGORIES, Stage, psql};

const CARTS: usize = 12;
const LANES: [&str; 8] = ["ttl/", "explicit/", "writethrough/", "events/", "swr/", "tags/", "production/", ""];

/// Creates the carts.
pub(super) async fn carts(system: &PrivateSystem, http: &Client) -> Result<Vec<String>> {
    let mut carts = Vec::new();
    for _ in 0..CARTS {
        let answer = http.post(format!("{}/carts", system.url(Service::Cart))).json(&json!({})).send().await?;
        let cart: Value = answer.error_for_status()?.json().await?;
        carts.push(cart["id"].as_str().context("a cart has an id")?.to_owned());
    }
    Ok(carts)
}

/// Starts the writers. Each ends when all of them together have written enough.
pub(super) fn start(stage: &Arc<Stage>) -> JoinSet<Result<()>> {
    let mut writers = JoinSet::new();
    writers.spawn(change(Arc::clone(stage)));
    writers.spawn(create_and_delete(Arc::clone(stage)));
    writers.spawn(psql::write(Arc::clone(stage)));
    writers.spawn(fill_carts(Arc::clone(stage)));
    writers
}

impl Stage {
    pub(super) fn enough(&self) -> bool {
        self.written.load(Relaxed) >= self.target
    }

    /// Returns the id of one of the products that are never deleted.
    pub(super) fn any(&self) -> i64 {
        rand::rng().random_range(1..=self.products)
    }

    /// Sends a write. Returns `None` if it was not acknowledged.
    async fn write(&self, method: Method, service: Service, path: &str, body: &Value) -> Option<(StatusCode, Value)> {
        let request = self.http.request(method, format!("{}{path}", self.system.url(service))).json(body);
        let answer = match request.send().await {
            Ok(answer) if answer.status().is_success() => {
                let status = answer.status();
                answer.json().await.ok().map_or(Some((status, Value::Null)), |body| Some((status, body)))
            }
            _ => None,
        };
        match answer {
            Some(answer) => {
                self.written.fetch_add(1, Relaxed);
                Some(answer)
            }
            None => {
                self.refused.fetch_add(1, Relaxed);
                sleep(Duration::from_millis(20)).await;
                None
            }
        }
    }
}

/// Changes products by every strategy, and through the plain route that bypasses all strategies.
async fn change(stage: Arc<Stage>) -> Result<()> {
    while !stage.enough() {
        let (id, lane) = (stage.any(), LANES[rand::rng().random_range(0..LANES.len())]);
        let stock: i64 = rand::rng().random_range(0..50);
        let path = format!("/products/{lane}{id}");
        if let Some((_, product)) =
            stage.write(Method::PUT, Service::ProductApi, &path, &json!({ "stock": stock })).await
        {
            let version =
                product["version"].as_i64().with_context(|| format!("a product without a version: {product}"))?;
            stage.ledger.product(id, version);
        }
    }
    Ok(())
}

/// Moves products between categories, renames categories, creates products and deletes some of them.
async fn create_and_delete(stage: Arc<Stage>) -> Result<()> {
    let mut own = Vec::new();
    let mut round = 0_u32;
    while !stage.enough() {
        round += 1;
        let category: i64 = rand::rng().random_range(1..=CATEGORIES);
        match round % 4 {
            0 => {
                let new = json!({ "name": format!("Wireless thing {round}"), "price_cents": round, "stock": 3, "category_id": category });
                if let Some((_, product)) = stage.write(Method::POST, Service::ProductApi, "/products", &new).await {
                    let id = product["id"].as_i64().context("a product has an id")?;
                    stage.ledger.exists(id, true);
                    own.push(id);
                }
            }
            1 => {
                let rename = json!({ "name": format!("Shelf {round}"), "description": format!("shelf {round}") });
                let path = format!("/categories/{category}");
                stage.write(Method::PUT, Service::ProductApi, &path, &rename).await;
            }
            2 if own.len() > 20 => {
                let id = own.swap_remove(rand::rng().random_range(0..own.len()));
                delete(&stage, id).await;
            }
            _ => {
                let id = stage.any();
                let moved = json!({ "category_id": category, "name": format!("Steel keyboard {round}") });
                let path = format!("/products/production/{id}");
                if let Some((_, product)) = stage.write(Method::PUT, Service::ProductApi, &path, &moved).await {
                    stage.ledger.product(id, product["version"].as_i64().context("a version")?);
                }
            }
        }
    }
    Ok(())
}

/// Repeats the deletion until it is confirmed: one without a response may have happened.
async fn delete(stage: &Stage, id: i64) {
    loop {
        let request = stage.http.delete(format!("{}/products/{id}", stage.system.url(Service::ProductApi)));
        match request.send().await.map(|answer| answer.status()) {
            Ok(status) if status.is_success() || status == StatusCode::NOT_FOUND => {
                stage.written.fetch_add(1, Relaxed);
                return stage.ledger.exists(id, false);
            }
            _ => {
                stage.refused.fetch_add(1, Relaxed);
                sleep(Duration::from_millis(20)).await;
            }
        }
    }
}

/// Adds products to carts and removes them. Repeats each change until it is acknowledged, so that the last one counts.
async fn fill_carts(stage: Arc<Stage>) -> Result<()> {
    while !stage.enough() {
        let cart = &stage.carts[rand::rng().random_range(0..stage.carts.len())];
        let (product, quantity) = (stage.any(), rand::rng().random_range(0..4_i64));
        let path = format!("/carts/{cart}/items/{product}");
        let (method, quantity) = if quantity == 0 { (Method::DELETE, 0) } else { (Method::PUT, quantity) };
        let mut tries = 0;
        loop {
            let request = stage.http.request(method.clone(), format!("{}{path}", stage.system.url(Service::Cart)));
            let request = if quantity == 0 { request } else { request.json(&json!({ "quantity": quantity })) };
            let status = request.send().await.map(|answer| answer.status()).ok();
            let absent = quantity == 0 && status == Some(StatusCode::NOT_FOUND);
            if absent || status.is_some_and(|status| status.is_success()) {
                break;
            }
            stage.refused.fetch_add(1, Relaxed);
            tries += 1;
            if tries > 3_000 {
                bail!("{method} {path} is not accepted: {status:?}");
            }
            sleep(Duration::from_millis(20)).await;
        }
        stage.ledger.line(cart, product, quantity);
        stage.written.fetch_add(1, Relaxed);
        sleep(Duration::from_millis(2)).await;
    }
    Ok(())
}
