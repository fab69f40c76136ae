//! The databases and the Redis of one test, and the services on them.

use std::process::Command;

use diesel_async::{AsyncConnection, AsyncPgConnection, SimpleAsyncConnection};
use testkit::{Postgres, Redis, eventually, shared_database, sibling};

use super::{CartOf, Fake, SOON, Service};

/// The settings of every test, unless it overrides them. A busy machine must not look like a Redis that is down.
const DEFAULTS: [(&str, &str); 6] = [
    ("HTTP__HOST", "127.0.0.1"),
    ("HTTP__PORT", "0"),
    ("HTTP__WORKERS", "2"),
    ("LOG__FILTER", "info"),
    ("POSTGRES__MAX_CONNECTIONS", "8"),
    ("REDIS__COMMAND_TIMEOUT", "2s"),
];

/// The stores of one test.
pub(crate) struct Stores {
    pub(crate) redis: Redis,
    cart: String,
    shop: String,
}

/// A lock that the test holds, on a table or on rows. A writer waits until it is released.
pub(crate) struct Lock(AsyncPgConnection);

impl Stores {
    pub(crate) async fn start() -> Self {
        let redis = Redis::start().await.expect("a private Redis");
        Self { redis, cart: shared_database().await, shop: shared_database().await }
    }

    /// Creates the cart's database on a Postgres that the test may stop.
    pub(crate) async fn on(postgres: &Postgres) -> Self {
        let redis = Redis::start().await.expect("a private Redis");
        let cart = postgres.create_database("cart").await.expect("a new cluster has no such database");
        Self { redis, cart, shop: shared_database().await }
    }

    /// Returns the URL of the cart's database.
    pub(crate) fn cart_url(&self) -> &str {
        &self.cart
    }

    fn command(&self, program: &std::path::Path, database: &str, settings: &[(&str, &str)]) -> Command {
        let mut command = Command::new(program);
        command.env_remove("CONFIG_FILE").envs(DEFAULTS);
        let user = program.file_name().expect("a program").to_string_lossy();
        command.env("POSTGRES__URL", database).env("REDIS__URL", self.redis.url_of(&user));
        command.envs(settings.iter().copied());
        command
    }

    /// Returns the command that starts a cart that uses the product API at `url`.
    pub(crate) fn cart_command(&self, url: &str, settings: &[(&str, &str)]) -> Command {
        let program = std::path::Path::new(env!("CARGO_BIN_EXE_cart"));
        let mut command = self.command(program, &self.cart, &[("PRODUCT_API__URL", url)]);
        // A timeout must not be mistaken for an absent product.
        command.env("PRODUCT_API__TIMEOUT", "5s").envs(settings.iter().copied());
        command
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
        let settings = [("SEED_PRODUCTS", "130"), ("HTTP__PORT", port)];
        Service::start(&self.command(&sibling("product-api"), &self.shop, &settings)).await
    }

    /// Starts the real product API with its own settings.
    pub(crate) async fn product_api_with(&self, settings: &[(&str, &str)]) -> Service {
        let settings = [&[("SEED_PRODUCTS", "130"), ("HTTP__PORT", "0")], settings].concat();
        Service::start(&self.command(&sibling("product-api"), &self.shop, &settings)).await
    }

    /// Starts the real product API, and a cart that uses it.
    pub(crate) async fn both(&self) -> (Service, Service) {
        let api = self.product_api("0").await;
        let cart = self.cart_with(api.url(), &[]).await;
        (api, cart)
    }

    /// Returns the name of the cart's database.
    pub(crate) fn cart_database(&self) -> &str {
        name(&self.cart)
    }

    /// Runs SQL in the cart's database and returns a line per row, with columns separated by `|`.
    pub(crate) async fn sql(&self, sql: &str) -> String {
        self.try_sql(sql).await.expect("the test's own SQL")
    }

    /// Runs SQL in the cart's database that may be refused.
    pub(crate) async fn try_sql(&self, sql: &str) -> anyhow::Result<String> {
        Postgres::shared().await.sql(name(&self.cart), sql).await
    }

    /// Makes every write of a line wait.
    pub(crate) async fn lock_lines(&self) -> Lock {
        self.lock("LOCK TABLE cart_items IN EXCLUSIVE MODE").await
    }

    /// Holds up the handling of each event about a product up to this one, all of which are in carts.
    pub(crate) async fn hold_reactions(&self, up_to: i64) -> Lock {
        self.lock(&format!("SELECT FROM known_products WHERE id <= {up_to} FOR UPDATE")).await
    }

    async fn lock(&self, lock: &str) -> Lock {
        let mut connection = AsyncPgConnection::establish(&self.cart).await.expect("the database is there");
        connection.batch_execute(&format!("BEGIN; {lock}")).await.expect("nobody holds a lock for long");
        Lock(connection)
    }

    /// Ends the statements of the cart that wait for a lock: otherwise Postgres would execute the statements of a
    /// killed process as soon as it can.
    pub(crate) async fn end_waiting(&self) {
        let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()
                   AND application_name = 'cart' AND wait_event_type = 'Lock'";
        self.sql(end).await;
    }

    /// Waits until that many of the cart's statements wait for a lock.
    pub(crate) async fn until_waiting(&self, count: usize) {
        let waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
                       AND application_name = 'cart' AND wait_event_type = 'Lock'";
        let what = format!("{count} statements that wait for a lock");
        eventually(&what, SOON, async || self.sql(waiting).await == count.to_string()).await;
    }

    /// Runs SQL in the product API's database.
    pub(crate) async fn shop_sql(&self, sql: &str) -> String {
        Postgres::shared().await.sql(name(&self.shop), sql).await.expect("the test's own SQL")
    }

    /// Runs `redis-cli`.
    pub(crate) async fn redis(&self, arguments: &[&str]) -> String {
        self.redis.cli(arguments).await.expect("the test's own command")
    }

    /// Reads an event in the name of the cart's group, as a process that is killed before it has applied the event.
    pub(crate) async fn read_and_vanish(&self) -> String {
        let read = ["XREADGROUP", "GROUP", "cart", "gone", "COUNT", "1", "STREAMS", "product:events", ">"];
        self.redis(&read).await
    }

    /// Returns the events that members of the cart's group have received and not yet applied, each with its consumer.
    pub(crate) async fn pending(&self) -> Vec<(i64, String)> {
        let pending = self.redis(&["XPENDING", "product:events", "cart", "-", "+", "100"]).await;
        let lines: Vec<&str> = pending.lines().collect();
        // Each entry has its id, the consumer, the idle time, and the number of deliveries.
        let number = |id: &str| id.trim_end_matches("-0").parse().expect("a number");
        lines.chunks_exact(4).map(|entry| (number(entry[0]), entry[1].to_owned())).collect()
    }

    /// Waits until the cart's consumer group has applied every event up to `seq`.
    pub(crate) async fn until_carried_out(&self, seq: i64) {
        eventually(&format!("event {seq} to be carried out"), SOON, async || self.carried_out(seq).await).await;
    }

    /// Returns whether the group has applied every event up to `seq`.
    pub(crate) async fn carried_out(&self, seq: i64) -> bool {
        let script = "for _, group in ipairs(redis.call('XINFO', 'GROUPS', KEYS[1])) do
                          if group[2] == 'cart' and group[6] == 0 then return group[8] end
                      end return '0-0'";
        let last = self.redis(&["EVAL", script, "1", "product:events"]).await;
        last.split_once('-').and_then(|(last, _)| last.parse::<i64>().ok()).is_some_and(|last| last >= seq)
    }

    /// Waits until the relay has no row left.
    pub(crate) async fn until_announced(&self) {
        eventually("everything to be announced", SOON, async || {
            self.sql("SELECT count(*) FROM outbox WHERE done_at IS NULL").await == "0"
        })
        .await;
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

impl Lock {
    pub(crate) async fn release(mut self) {
        self.0.batch_execute("COMMIT").await.expect("the lock's session lives");
    }
}

fn name(url: &str) -> &str {
    url.rsplit_once('/').map_or("", |(_, name)| name)
}
