//! Databases and a Redis for one test, and the services over them.

use std::path::Path;
use std::process::Command;

use diesel_async::{AsyncConnection, AsyncPgConnection, SimpleAsyncConnection};
use serde_json::Value;
use testkit::{Postgres, Redis, eventually, shared_database, sibling};

use super::{SOON, Service};

/// Settings of every test, unless the test overrides them. A busy machine must not look like a Redis that is down.
const DEFAULTS: [(&str, &str); 6] = [
    ("HTTP__HOST", "127.0.0.1"),
    ("HTTP__PORT", "0"),
    ("HTTP__WORKERS", "2"),
    ("LOG__FILTER", "info"),
    ("POSTGRES__MAX_CONNECTIONS", "8"),
    ("REDIS__COMMAND_TIMEOUT", "2s"),
];

/// The databases and the Redis of one test.
pub(crate) struct Stores {
    pub(crate) redis: Redis,
    ours: String,
    shop: String,
    carts: String,
}

/// Row locks that the test holds. A writer of these rows waits until they are released.
pub(crate) struct Lock(AsyncPgConnection);

impl Stores {
    pub(crate) async fn start() -> Self {
        let redis = Redis::start().await.expect("a private Redis");
        Self { redis, ours: shared_database().await, shop: shared_database().await, carts: shared_database().await }
    }

    /// Creates stores whose recommendation database is on a Postgres that the test may stop.
    pub(crate) async fn on(postgres: &Postgres) -> Self {
        let ours = postgres.create_database("recommendation").await.expect("a new cluster has no such database");
        Self { ours, ..Self::start().await }
    }

    fn command(&self, program: &Path, database: &str, settings: &[(&str, &str)]) -> Command {
        let mut command = Command::new(program);
        command.env_remove("CONFIG_FILE").envs(DEFAULTS);
        let user = program.file_name().expect("a program").to_string_lossy();
        command.env("POSTGRES__URL", database).env("REDIS__URL", self.redis.url_of(&user));
        command.envs(settings.iter().copied());
        command
    }

    /// Returns the command that starts a recommendation service with the product API at `url`, and no cart service.
    pub(crate) fn our_command(&self, url: &str, settings: &[(&str, &str)]) -> Command {
        let program = Path::new(env!("CARGO_BIN_EXE_recommendation"));
        let mut command = self.command(program, &self.ours, &[("PRODUCT_API__URL", url)]);
        // No server listens at this cart URL. Learning runs start without delay.
        command.env("CART__URL", "http://127.0.0.1:9").env("LEARNING__EVERY", "100ms");
        command.envs(settings.iter().copied());
        command
    }

    /// Starts a recommendation service, and waits until it is ready.
    pub(crate) async fn ours_with(&self, url: &str, settings: &[(&str, &str)]) -> Service {
        Service::start(&self.our_command(url, settings)).await
    }

    /// Starts the real product API at `port` (0: any). Its products 1 to 120 in 12 categories are written by hand.
    pub(crate) async fn product_api(&self, port: &str) -> Service {
        let settings = [("SEED_PRODUCTS", "130"), ("HTTP__PORT", port)];
        Service::start(&self.command(&sibling("product-api"), &self.shop, &settings)).await
    }

    /// Starts the real product API and a recommendation service, and waits until the service has applied all events of
    /// the seeding.
    pub(crate) async fn both(&self) -> (Service, Service) {
        let api = self.product_api("0").await;
        let ours = self.ours_with(api.url(), &[]).await;
        self.until_all_is_heard().await;
        until_both_are_read(&ours).await;
        (api, ours)
    }

    /// Starts the real cart service at `port` (0: any), with the product API at `url`.
    pub(crate) async fn cart(&self, url: &str, port: &str) -> Service {
        let settings = [("PRODUCT_API__URL", url), ("PRODUCT_API__TIMEOUT", "5s"), ("HTTP__PORT", port)];
        Service::start(&self.command(&sibling("cart"), &self.carts, &settings)).await
    }

    /// Starts the real product API, the real cart service, and a recommendation service with additional settings.
    pub(crate) async fn all_with(&self, settings: &[(&str, &str)]) -> (Service, Service, Service) {
        let api = self.product_api("0").await;
        let cart = self.cart(api.url(), "0").await;
        let settings = [&[("CART__URL", cart.url())], settings].concat();
        let ours = self.ours_with(api.url(), &settings).await;
        (api, cart, ours)
    }

    /// Runs SQL in the recommendation database. Returns one line per row, with columns separated by `|`.
    pub(crate) async fn sql(&self, sql: &str) -> String {
        Postgres::shared().await.sql(name(&self.ours), sql).await.expect("the test's own SQL")
    }

    /// Runs SQL in the cart's database.
    pub(crate) async fn cart_sql(&self, sql: &str) -> String {
        Postgres::shared().await.sql(name(&self.carts), sql).await.expect("the test's own SQL")
    }

    /// Returns the URL of the recommendation database.
    pub(crate) fn ours(&self) -> &str {
        &self.ours
    }

    /// Returns the name of the recommendation database.
    pub(crate) fn our_database(&self) -> &str {
        name(&self.ours)
    }

    /// Runs SQL in the shop's database.
    pub(crate) async fn shop_sql(&self, sql: &str) -> String {
        Postgres::shared().await.sql(name(&self.shop), sql).await.expect("the test's own SQL")
    }

    /// Runs `redis-cli`.
    pub(crate) async fn redis(&self, arguments: &[&str]) -> String {
        self.redis.cli(arguments).await.expect("the test's own command")
    }

    /// Locks all known lines, so that handlers of events about them wait.
    pub(crate) async fn hold_reactions(&self) -> Lock {
        let mut connection = AsyncPgConnection::establish(&self.ours).await.expect("the database is there");
        let lock = "BEGIN; SELECT FROM basket_items FOR UPDATE";
        connection.batch_execute(lock).await.expect("nobody holds a lock for long");
        Lock(connection)
    }

    /// Waits until `count` statements of the service wait for a lock.
    pub(crate) async fn until_waiting(&self, count: usize) {
        let waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
                       AND application_name = 'recommendation' AND wait_event_type = 'Lock'";
        let what = format!("{count} statements that wait for a lock");
        eventually(&what, SOON, async || self.sql(waiting).await == count.to_string()).await;
    }

    /// Returns the pending entries of a stream in the service's group: the number of each event, and its consumer.
    pub(crate) async fn pending(&self, stream: &str) -> Vec<(u64, String)> {
        let pending = self.redis(&["XPENDING", stream, "recommendation", "-", "+", "100"]).await;
        let lines: Vec<&str> = pending.lines().collect();
        // XPENDING returns for each entry its id, the consumer, the idle time, and the number of deliveries.
        let number = |id: &str| id.trim_end_matches("-0").parse().expect("a number");
        lines.chunks_exact(4).map(|entry| (number(entry[0]), entry[1].to_owned())).collect()
    }

    /// Waits until the service's group has applied all events of a stream up to `seq`.
    pub(crate) async fn until_carried_out(&self, stream: &str, seq: u64) {
        let script = "for _, group in ipairs(redis.call('XINFO', 'GROUPS', KEYS[1])) do
                          if group[2] == 'recommendation' and group[6] == 0 then return group[8] end
                      end return '0-0'";
        eventually(&format!("event {seq} of {stream} to be carried out"), SOON, async || {
            let last = self.redis(&["EVAL", script, "1", stream]).await;
            last.split_once('-').and_then(|(last, _)| last.parse::<u64>().ok()).is_some_and(|last| last >= seq)
        })
        .await;
    }

    /// Waits until the service has applied every change that was committed in the shop.
    pub(crate) async fn until_all_is_heard(&self) {
        eventually("the shop's changes to be announced", SOON, async || {
            self.shop_sql("SELECT count(*) FROM outbox WHERE done_at IS NULL").await == "0"
        })
        .await;
        let head = self.shop_sql("SELECT seq FROM outbox_head").await.parse().expect("a number");
        self.until_carried_out("product:events", head).await;
    }

    /// Waits until the service has learned from every event about carts up to `seq`, and has invalidated the outdated
    /// lists.
    pub(crate) async fn until_learned(&self, seq: u64) {
        self.until_carried_out("cart:events", seq).await;
        eventually("it to be learned", SOON, async || {
            let open = "SELECT (SELECT count(DISTINCT number) FROM lessons) - 1 + (SELECT count(*) FROM outdated)";
            self.sql(open).await == "0"
        })
        .await;
    }
}

impl Lock {
    pub(crate) async fn release(mut self) {
        self.0.batch_execute("COMMIT").await.expect("the lock's session lives");
    }
}

/// Waits until both streams are read. Without a cart service the log of carts is unavailable; the service detects this
/// after a while, and then purges every list.
pub(crate) async fn until_both_are_read(ours: &Service) {
    let events = async || ours.get("/readyz").await.json()["checks"]["events"]["status"] == "ok";
    eventually("both streams to be read", SOON, events).await;
}

/// Waits until the list at `path` satisfies `is_so`.
pub(crate) async fn until_list(service: &Service, path: &str, what: &str, is_so: impl Fn(&Value) -> bool) -> Value {
    eventually(what, SOON, async || Some(service.get(path).await.expect(200).json()).filter(|list| is_so(list))).await
}

fn name(url: &str) -> &str {
    url.rsplit_once('/').map_or("", |(_, name)| name)
}
