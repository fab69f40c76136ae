//! The stores of one test, and the services over them.

use std::ops::Deref;
use std::path::Path;
use std::process::Command;

use testkit::{Database, HeldLock, Postgres, eventually, service_command, sibling};

use super::{CartOf, Fake, SOON, Service};

/// The cart's stores, and the database of a real product API.
pub(crate) struct Stores {
    own: testkit::Stores,
    pub(crate) shop: Database,
}

impl Deref for Stores {
    type Target = testkit::Stores;

    fn deref(&self) -> &testkit::Stores {
        &self.own
    }
}

impl Stores {
    pub(crate) async fn start() -> Self {
        Self { own: testkit::Stores::start("cart").await, shop: Database::shared().await }
    }

    /// Creates the cart's database on a Postgres that the test may stop.
    pub(crate) async fn on(postgres: &Postgres) -> Self {
        Self { own: testkit::Stores::on("cart", postgres).await, shop: Database::shared().await }
    }

    /// Starts the stores, and a fake product API that has the products 1 to `products`.
    pub(crate) async fn with_fake(products: i64) -> (Self, Fake) {
        (Self::start().await, Fake::start(products).await)
    }

    /// Creates a cart with one piece of each of these products. Its changes are published, and its view is cached.
    pub(crate) async fn cached_cart<'a>(&self, service: &'a Service, products: &[i64]) -> CartOf<'a> {
        let cart = CartOf::with(service, products).await;
        self.until_published().await;
        cart.cached().await;
        cart
    }

    /// Returns the command that starts a cart that uses the product API at `url`.
    pub(crate) fn cart_command(&self, url: &str, settings: &[(&str, &str)]) -> Command {
        // A timeout must not be mistaken for an absent product.
        let settings = [&[("PRODUCT_API__URL", url), ("PRODUCT_API__TIMEOUT", "5s")], settings].concat();
        service_command(Path::new(env!("CARGO_BIN_EXE_cart")), &self.redis, Some(&self.database), &settings)
    }

    /// Starts a cart that uses `fake`.
    pub(crate) async fn cart(&self, fake: &Fake) -> Service {
        self.cart_with(fake.url(), &[]).await
    }

    /// Starts a cart that uses the product API at `url`, with its own settings.
    pub(crate) async fn cart_with(&self, url: &str, settings: &[(&str, &str)]) -> Service {
        Service::start(&self.cart_command(url, settings)).await
    }

    /// Starts the real product API, at `port` or at any port.
    pub(crate) async fn product_api(&self, port: &str) -> Service {
        self.product_api_with(&[("HTTP__PORT", port)]).await
    }

    /// Starts the real product API with its own settings.
    pub(crate) async fn product_api_with(&self, settings: &[(&str, &str)]) -> Service {
        let settings = [&[("SEED_PRODUCTS", "130")], settings].concat();
        Service::start(&service_command(&sibling("product-api"), &self.redis, Some(&self.shop), &settings)).await
    }

    /// Starts the real product API, and a cart that uses it.
    pub(crate) async fn both(&self) -> (Service, Service) {
        let api = self.product_api("0").await;
        let cart = self.cart_with(api.url(), &[]).await;
        (api, cart)
    }

    /// Makes every write of a line wait.
    pub(crate) async fn lock_lines(&self) -> HeldLock {
        self.database.lock("LOCK TABLE cart_items IN EXCLUSIVE MODE").await
    }

    /// Holds up the handling of each event about a product up to this one, all of which are in carts.
    pub(crate) async fn hold_reactions(&self, up_to: i64) -> HeldLock {
        self.database.lock(&format!("SELECT FROM known_products WHERE id <= {up_to} FOR UPDATE")).await
    }

    /// Runs SQL in the product API's database.
    pub(crate) async fn shop_sql(&self, sql: &str) -> String {
        self.shop.sql(sql).await
    }

    /// Reads an event in the name of the cart's group, as a process that is killed before it has applied the event.
    pub(crate) async fn read_and_vanish(&self) -> String {
        let read = ["XREADGROUP", "GROUP", "cart", "gone", "COUNT", "1", "STREAMS", "product:events", ">"];
        self.redis(&read).await
    }

    /// Waits until `cart` shows the product with this price.
    pub(crate) async fn until_price(&self, cart: &CartOf<'_>, product: i64, cents: i64) {
        eventually("the price to reach the view", SOON, async || {
            let view = cart.view().await.expect(200).json();
            super::cart::line(&view, product)["price_cents"] == cents && view["stale"] == false
        })
        .await;
    }
}

/// Starts a cart on its own stores, with a fake product API that has the products 1 to `products`.
pub(crate) async fn started(products: i64) -> (Stores, Fake, Service) {
    let (stores, fake) = Stores::with_fake(products).await;
    let service = stores.cart(&fake).await;
    (stores, fake, service)
}
