//! The stores of one test, and the services over them.

use std::ops::Deref;
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use testkit::{Database, HeldLock, Postgres, eventually, free_port, service_command, sibling};

use super::{SOON, Service};

/// The service's stores, and the databases of a real product API and a real cart.
pub(crate) struct Stores {
    own: testkit::Stores,
    shop: Database,
    carts: Database,
}

impl Deref for Stores {
    type Target = testkit::Stores;

    fn deref(&self) -> &testkit::Stores {
        &self.own
    }
}

impl Stores {
    pub(crate) async fn start() -> Self {
        let own = testkit::Stores::start("recommendation").await;
        Self { own, shop: Database::shared().await, carts: Database::shared().await }
    }

    /// Creates stores whose recommendation database is on a Postgres that the test may stop.
    pub(crate) async fn on(postgres: &Postgres) -> Self {
        let own = testkit::Stores::on("recommendation", postgres).await;
        Self { own, shop: Database::shared().await, carts: Database::shared().await }
    }

    /// Returns the command that starts a recommendation service with the product API at `url`, and no cart service.
    pub(crate) fn service_command_with(&self, url: &str, settings: &[(&str, &str)]) -> Command {
        // No server listens at this cart URL. The interval is short, so that a learning run starts almost at once.
        let defaults = [("PRODUCT_API__URL", url), ("CART__URL", "http://127.0.0.1:9"), ("LEARNING__EVERY", "100ms")];
        let program = Path::new(env!("CARGO_BIN_EXE_recommendation"));
        service_command(program, &self.redis, Some(&self.database), &[&defaults, settings].concat())
    }

    /// Starts a recommendation service, and waits until it is ready.
    pub(crate) async fn start_service(&self, url: &str, settings: &[(&str, &str)]) -> Service {
        Service::start(&self.service_command_with(url, settings)).await
    }

    /// Starts the real product API at `port` (0: any). Its products 1 to 120 in 12 categories are written by hand.
    pub(crate) async fn product_api(&self, port: &str) -> Service {
        self.product_api_with(&[("HTTP__PORT", port)]).await
    }

    pub(crate) async fn product_api_with(&self, settings: &[(&str, &str)]) -> Service {
        let settings = [&[("SEED_PRODUCTS", "130"), ("HTTP__PORT", "0")], settings].concat();
        Service::start(&service_command(&sibling("product-api"), &self.redis, Some(&self.shop), &settings)).await
    }

    /// Starts the real product API and a recommendation service, and waits until the service has applied all events of
    /// the seeding.
    pub(crate) async fn both(&self) -> (Service, Service) {
        let api = self.product_api("0").await;
        let service = self.start_service(api.url(), &[]).await;
        self.until_shop_is_applied().await;
        until_both_are_read(&service).await;
        (api, service)
    }

    /// Starts the real cart service at `port` (0: any), with the product API at `url`.
    pub(crate) async fn cart(&self, url: &str, port: &str) -> Service {
        self.cart_with(url, &[("HTTP__PORT", port)]).await
    }

    pub(crate) async fn cart_with(&self, url: &str, settings: &[(&str, &str)]) -> Service {
        let defaults = [("PRODUCT_API__URL", url), ("PRODUCT_API__TIMEOUT", "5s"), ("HTTP__PORT", "0")];
        let settings = [&defaults, settings].concat();
        Service::start(&service_command(&sibling("cart"), &self.redis, Some(&self.carts), &settings)).await
    }

    /// Starts the real product API, the real cart service, and a recommendation service with additional settings.
    pub(crate) async fn all_with(&self, settings: &[(&str, &str)]) -> (Service, Service, Service) {
        let api = self.product_api("0").await;
        let cart = self.cart(api.url(), "0").await;
        let settings = [&[("CART__URL", cart.url())], settings].concat();
        let service = self.start_service(api.url(), &settings).await;
        (api, cart, service)
    }

    /// Runs SQL in the cart's database.
    pub(crate) async fn cart_sql(&self, sql: &str) -> String {
        self.carts.sql(sql).await
    }

    /// Runs SQL in the shop's database.
    pub(crate) async fn shop_sql(&self, sql: &str) -> String {
        self.shop.sql(sql).await
    }

    /// Locks all rows of `basket_items`, so that handlers of events about these cart lines wait.
    pub(crate) async fn hold_reactions(&self) -> HeldLock {
        self.database.lock("SELECT FROM basket_items FOR UPDATE").await
    }

    /// Waits until the service has applied every change that was committed in the shop.
    pub(crate) async fn until_shop_is_applied(&self) {
        self.shop.until_published().await;
        self.until_applied("product:events", self.shop.last_event().await).await;
    }

    /// Waits until the service has learned from every event about carts up to `seq`, and has invalidated the outdated
    /// lists.
    pub(crate) async fn until_learned(&self, seq: u64) {
        self.until_applied("cart:events", seq).await;
        eventually("it to be learned", SOON, async || {
            let open = "SELECT (SELECT count(DISTINCT number) FROM lessons) - 1 + (SELECT count(*) FROM outdated)";
            self.sql(open).await == "0"
        })
        .await;
    }
}

/// Waits until both streams are read. Without a cart service the log of carts is unavailable; the service detects this
/// after a while, and then purges every list.
pub(crate) async fn until_both_are_read(service: &Service) {
    let events = async || service.get("/readyz").await.json()["checks"]["events"]["status"] == "ok";
    eventually("both streams to be read", SOON, events).await;
}

/// Waits until the list at `path` satisfies `is_so`.
pub(crate) async fn until_list(service: &Service, path: &str, what: &str, is_so: impl Fn(&Value) -> bool) -> Value {
    eventually(what, SOON, async || Some(service.get(path).await.expect(200).json()).filter(|list| is_so(list))).await
}

/// Starts the product API on its own stores.
pub(crate) async fn with_product_api() -> (Stores, Service) {
    let stores = Stores::start().await;
    let api = stores.product_api("0").await;
    (stores, api)
}

/// Starts the product API on its own stores, at a port that the test can use again. Returns that port as well.
pub(crate) async fn with_product_api_at_port() -> (Stores, String, Service) {
    let (stores, port) = (Stores::start().await, free_port().to_string());
    let api = stores.product_api(&port).await;
    (stores, port, api)
}

/// Starts the product API and the recommendation service on their own stores.
pub(crate) async fn started() -> (Stores, Service, Service) {
    let stores = Stores::start().await;
    let (api, service) = stores.both().await;
    (stores, api, service)
}

/// Returns the ids of `kind` in a response, in order.
#[track_caller]
pub(crate) fn ids(list: &Value, kind: &str) -> Vec<i64> {
    let items = list[kind].as_array().unwrap_or_else(|| panic!("no {kind} in {list}"));
    items.iter().map(|item| item["product_id"].as_i64().expect("an id")).collect()
}

pub(crate) fn item(list: &Value, product: i64) -> Option<Value> {
    let mut items = ["bought_together", "similar"].into_iter().filter_map(|kind| list[kind].as_array()).flatten();
    items.find(|item| item["product_id"] == product).cloned()
}
