//! The database and the Redis of one test, and functions that inspect and delay them.

use std::process::Command;

use diesel_async::{AsyncConnection, AsyncPgConnection, SimpleAsyncConnection};
use testkit::{Postgres, Redis, eventually, shared_database};

use super::{Api, SOON};

/// The stores of one test.
pub(crate) struct Stores {
    pub(crate) redis: Redis,
    database_url: String,
}

/// A lock that the test holds, on a table or an advisory one. A session that needs it waits until it is released.
pub(crate) struct Lock(AsyncPgConnection);

impl Stores {
    pub(crate) async fn start() -> Self {
        Self::with_redis(Redis::start().await.expect("a private Redis")).await
    }

    pub(crate) async fn with_redis(redis: Redis) -> Self {
        Self { redis, database_url: shared_database().await }
    }

    /// Uses a Postgres that the test may kill.
    pub(crate) async fn on(postgres: &Postgres) -> Self {
        let database_url = postgres.create_database("shop").await.expect("a new cluster has no such database");
        Self { redis: Redis::start().await.expect("a private Redis"), database_url }
    }

    pub(crate) fn database_url(&self) -> &str {
        &self.database_url
    }

    pub(crate) fn database(&self) -> &str {
        self.database_url.rsplit_once('/').map_or("", |(_, name)| name)
    }

    /// Starts a product API on these stores.
    pub(crate) async fn api(&self) -> Api {
        Api::start(self, &[]).await
    }

    /// Starts a product API on these stores with its own settings.
    pub(crate) async fn api_with(&self, settings: &[(&str, &str)]) -> Api {
        Api::start(self, settings).await
    }

    /// Returns the command that starts a product API.
    pub(crate) fn command(&self, settings: &[(&str, &str)]) -> Command {
        Api::command(self, settings)
    }

    /// Runs SQL and returns a line per row, with columns separated by `|`.
    pub(crate) async fn sql(&self, sql: &str) -> String {
        Postgres::shared().await.sql(self.database(), sql).await.expect("the test's own SQL")
    }

    /// Runs SQL that the database may refuse.
    pub(crate) async fn try_sql(&self, sql: &str) -> anyhow::Result<String> {
        Postgres::shared().await.sql(self.database(), sql).await
    }

    /// Runs `redis-cli`.
    pub(crate) async fn redis(&self, arguments: &[&str]) -> String {
        self.redis.cli(arguments).await.expect("the test's own command")
    }

    pub(crate) async fn has_entry(&self, key: &str) -> bool {
        self.redis(&["EXISTS", key]).await == "1"
    }

    /// Waits until every committed change is in the stream, and therefore removed from the caches that depend on
    /// events.
    pub(crate) async fn until_announced(&self) {
        let waiting = "SELECT count(*) FROM outbox WHERE done_at IS NULL";
        eventually("everything to be announced", 2 * SOON, async || self.sql(waiting).await == "0").await;
    }

    /// Disables events about products: what a writer does not invalidate itself stays.
    pub(crate) async fn silence(&self) {
        self.until_announced().await;
        self.sql("ALTER TABLE products DISABLE TRIGGER products_announce_update").await;
    }

    /// Opens a session of another client.
    pub(crate) async fn connect(&self) -> AsyncPgConnection {
        AsyncPgConnection::establish(&self.database_url).await.expect("the database is there")
    }

    /// Makes every load wait.
    pub(crate) async fn lock_products(&self) -> Lock {
        let mut connection = self.connect().await;
        let lock = "BEGIN; LOCK TABLE products IN ACCESS EXCLUSIVE MODE";
        connection.batch_execute(lock).await.expect("nobody holds a lock for long");
        Lock(connection)
    }

    /// Delays every COMMIT that requests the advisory lock `id`.
    pub(crate) async fn hold_commits(&self, id: u32) -> Lock {
        let mut connection = self.connect().await;
        let lock = format!("BEGIN; SELECT pg_advisory_xact_lock({id})");
        connection.batch_execute(&lock).await.expect("nobody holds it for long");
        Lock(connection)
    }

    /// Returns how many statements of the product API wait for a lock.
    pub(crate) async fn waiting(&self) -> usize {
        let waiting = "SELECT count(*) FROM pg_stat_activity
                       WHERE datname = current_database() AND application_name = 'product-api'
                         AND wait_event_type = 'Lock'";
        self.sql(waiting).await.parse().expect("a count")
    }

    /// Waits until that many statements wait for a lock.
    pub(crate) async fn until_waiting(&self, count: usize) {
        let what = format!("{count} statements that wait for a lock");
        eventually(&what, SOON, async || self.waiting().await == count).await;
    }

    /// Waits until an entry has lived for longer than its soft TTL.
    pub(crate) async fn until_stale(&self, api: &Api, key: &str) {
        eventually("the end of the soft TTL", SOON, async || {
            api.get(&format!("/cache/stats/{key}")).await.json()["state"] == "stale"
        })
        .await;
    }
}

impl Lock {
    pub(crate) async fn release(mut self) {
        self.0.batch_execute("COMMIT").await.expect("the lock's session lives");
    }
}
