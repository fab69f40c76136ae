//! A shop for one test: a database, a Redis, and a product API over them.

use serde_json::{Value, json};
use testkit::http::{Service, TestResponse};
use testkit::{Database, Proxy, Redis, service_command, sibling};

/// A running product API and its stores. Dropping it kills the process.
pub(crate) struct Shop {
    pub(crate) redis: Redis,
    pub(crate) api: Service,
    pub(crate) database: Database,
}

/// A product to create. The defaults are values that do not matter to the test.
#[derive(Clone, Copy)]
pub(crate) struct Product<'a> {
    pub(crate) name: &'a str,
    pub(crate) description: &'a str,
    pub(crate) price_cents: i64,
    pub(crate) category_id: i64,
}

impl Default for Product<'_> {
    fn default() -> Self {
        Self { name: "Thing", description: "", price_cents: 1_000, category_id: 1 }
    }
}

impl Shop {
    /// Starts a shop with a dozen categories and no products.
    pub(crate) async fn start() -> Self {
        Self::with_products(0).await
    }

    /// Starts a shop with the first `count` products of the demo catalogue.
    pub(crate) async fn with_products(count: u64) -> Self {
        Self::with(&[("SEED_PRODUCTS", &count.to_string())]).await
    }

    /// Starts a shop whose product API has these settings.
    pub(crate) async fn with(settings: &[(&str, &str)]) -> Self {
        let redis = Redis::start_with_users(&[]).await.expect("a private Redis");
        let database = Database::shared().await;
        let api = start(&redis, &database, settings).await;
        Self { redis, api, database }
    }

    /// Kills the product API.
    pub(crate) async fn stop_api(&self) {
        self.api.process.kill9().await.expect("it is killed");
    }

    /// Starts the product API again, on the same port.
    pub(crate) async fn start_api(&mut self) {
        let (_, port) = self.api.address().split_once(':').expect("a port");
        self.api = start(&self.redis, &self.database, &[("HTTP__PORT", port)]).await;
    }

    /// Starts a proxy to the product API. Returns it with its URL.
    pub(crate) async fn proxy(&self) -> (Proxy, String) {
        let (_, port) = self.api.address().split_once(':').expect("a port");
        let proxy = Proxy::to(port.parse().expect("a number")).await.expect("a proxy");
        let url = format!("http://{}", proxy.address());
        (proxy, url)
    }

    /// Creates products, and returns their ids.
    pub(crate) async fn create(&self, products: &[Product<'_>]) -> Vec<i64> {
        let mut ids = Vec::new();
        for Product { name, description, price_cents, category_id } in products {
            let body = json!({
                "name": name, "description": description, "price_cents": price_cents, "category_id": category_id,
                "stock": 3
            });
            let answer = self.api.post("/products", &body).await.expect(201);
            ids.push(answer.json()["id"].as_i64().expect("an id"));
        }
        ids
    }

    /// Changes a product or a category; the path begins with a slash.
    pub(crate) async fn put(&self, path: &str, body: &Value) -> TestResponse {
        self.api.put(path, body).await.expect(200)
    }

    pub(crate) async fn delete(&self, id: i64) {
        self.api.delete(&format!("/products/{id}")).await.expect(204);
    }

    /// Runs SQL in the shop's database, bypassing the product API.
    pub(crate) async fn sql(&self, sql: &str) -> String {
        self.database.sql(sql).await
    }

    /// Runs `redis-cli`.
    pub(crate) async fn redis(&self, arguments: &[&str]) -> String {
        self.redis.cli(arguments).await.expect("the test's own command")
    }
}

async fn start(redis: &Redis, database: &Database, settings: &[(&str, &str)]) -> Service {
    let defaults =
        [("HTTP__PORT", "0"), ("HTTP__WORKERS", "1"), ("POSTGRES__MAX_CONNECTIONS", "6"), ("SEED_PRODUCTS", "0")];
    let settings = [&defaults, settings].concat();
    Service::start(&service_command(&sibling("product-api"), redis, Some(database), &settings)).await
}
