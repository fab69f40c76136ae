//! A private database for one test.

use std::time::Duration;

use database::{Error, Pool, PostgresSettings, connect, sql};
use diesel_async::RunQueryDsl;
use serde_json::json;
use testkit::{Postgres, shared_database};

/// Long enough for a busy machine.
pub(crate) const SOON: Duration = testkit::SOON;

pub(crate) struct Database {
    pub(crate) url: String,
}

impl Database {
    pub(crate) async fn start() -> Self {
        Self { url: shared_database().await }
    }

    pub(crate) fn name(&self) -> &str {
        self.url.rsplit_once('/').map_or("", |(_, name)| name)
    }

    /// Runs SQL outside the pool.
    pub(crate) async fn sql(&self, sql: &str) -> String {
        Postgres::shared().await.sql(self.name(), sql).await.expect("the test's own SQL")
    }

    pub(crate) async fn pool(&self, connections: u32) -> Pool {
        self.pool_with(&json!({ "max_connections": connections })).await
    }

    pub(crate) async fn pool_with(&self, settings: &serde_json::Value) -> Pool {
        self.pool_at(&self.url, settings).await
    }

    pub(crate) async fn pool_at(&self, url: &str, settings: &serde_json::Value) -> Pool {
        let mut all = json!({ "url": url, "wait_timeout": "10s", "statement_timeout": "30s" });
        let all_settings = all.as_object_mut().expect("an object");
        all_settings.extend(settings.as_object().expect("an object").clone());
        let settings: PostgresSettings = serde_json::from_value(all).expect("settings");
        connect(&settings, "pool", SOON).await.expect("connections")
    }
}

/// Runs one statement that is a transaction of its own.
pub(crate) async fn execute(pool: &Pool, statement: &str) -> Result<usize, Error> {
    pool.run(async |connection| Ok::<_, Error>(sql(statement).execute(connection).await?)).await
}

#[derive(diesel::QueryableByName)]
pub(crate) struct Name {
    #[diesel(sql_type = diesel::sql_types::Text)]
    pub(crate) name: String,
}
