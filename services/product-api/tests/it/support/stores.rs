//! The stores of one test, and functions that inspect and delay them.

use std::ops::Deref;
use std::process::Command;

use diesel_async::{AsyncConnection, AsyncPgConnection};
use testkit::{HeldLock, Postgres, PostgresProxy, Redis, eventually};
use tokio::sync::SemaphorePermit;

use super::{Api, SOON, turn};

/// The name in Postgres and Redis.
const NAME: &str = "product-api";

pub(crate) struct Stores(testkit::Stores);

impl Deref for Stores {
    type Target = testkit::Stores;

    fn deref(&self) -> &testkit::Stores {
        &self.0
    }
}

impl Stores {
    pub(crate) async fn start() -> Self {
        Self(testkit::Stores::start(NAME).await)
    }

    pub(crate) async fn with_redis(redis: Redis) -> Self {
        Self(testkit::Stores::with_redis(NAME, redis).await)
    }

    /// Starts stores whose Postgres the test may kill.
    pub(crate) async fn with_own_postgres() -> (Postgres, Self) {
        let postgres = Postgres::start().await.expect("a private Postgres");
        let stores = Self(testkit::Stores::on(NAME, &postgres).await);
        (postgres, stores)
    }

    /// Starts stores when it is this test's turn; see [`turn`].
    pub(crate) async fn in_turn() -> (SemaphorePermit<'static>, Self) {
        (turn().await, Self::start().await)
    }

    /// Starts stores, and a proxy to the database.
    pub(crate) async fn behind_proxy() -> (Self, PostgresProxy) {
        let stores = Self::start().await;
        let proxy = PostgresProxy::to(stores.database.url()).await.expect("a proxy to the database");
        (stores, proxy)
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

    pub(crate) async fn has_entry(&self, key: &str) -> bool {
        self.redis(&["EXISTS", key]).await == "1"
    }

    /// Disables events about products: what a writer does not invalidate itself stays.
    pub(crate) async fn silence(&self) {
        self.until_published().await;
        self.sql("ALTER TABLE products DISABLE TRIGGER products_announce_update").await;
    }

    /// Opens a session of another client.
    pub(crate) async fn connect(&self) -> AsyncPgConnection {
        AsyncPgConnection::establish(self.database.url()).await.expect("the database is there")
    }

    /// Makes every load wait.
    pub(crate) async fn lock_products(&self) -> HeldLock {
        self.database.lock("LOCK TABLE products IN ACCESS EXCLUSIVE MODE").await
    }

    /// Delays every COMMIT that requests the advisory lock `id`.
    pub(crate) async fn hold_commits(&self, id: u32) -> HeldLock {
        self.database.lock(&format!("SELECT pg_advisory_xact_lock({id})")).await
    }

    /// Returns how many statements of the product API wait for a lock.
    pub(crate) async fn waiting(&self) -> usize {
        self.database.waiting(NAME).await
    }

    /// Waits until an entry has lived for longer than its soft TTL.
    pub(crate) async fn until_stale(&self, api: &Api, key: &str) {
        eventually("the end of the soft TTL", SOON, async || {
            api.get(&format!("/cache/stats/{key}")).await.json()["state"] == "stale"
        })
        .await;
    }
}

/// Starts a product API on its own stores.
pub(crate) async fn started() -> (Stores, Api) {
    let stores = Stores::start().await;
    let api = stores.api().await;
    (stores, api)
}

/// Does the same, and waits until the events of the seed are published.
pub(crate) async fn started_and_published() -> (Stores, Api) {
    let (stores, api) = started().await;
    stores.until_published().await;
    (stores, api)
}

/// Does the same, and returns the number of the last event.
pub(crate) async fn started_at_head() -> (Stores, Api, i64) {
    let (stores, api) = started().await;
    let head = stores.settled_head().await;
    (stores, api, head)
}
