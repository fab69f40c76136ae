//! A COMMIT without a response: the write is in doubt, is not retried, and takes effect within a known time or never.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use database::{Error, ErrorClass, Pool, WriteError, sql};
use diesel_async::RunQueryDsl;
use serde_json::json;
use testkit::{PostgresFault, PostgresProxy, eventually};

use crate::support::{Database, SOON};

const ROWS: &str = "SELECT count(*) FROM things";

/// Returns a database with a table, a proxy that can lose or delay COMMITs, and a pool that connects through the proxy.
async fn wired(statement_timeout: &str) -> (Database, PostgresProxy, Pool) {
    let database = Database::start().await;
    database.sql("CREATE TABLE things (id int PRIMARY KEY)").await;
    let proxy = PostgresProxy::to(&database.url).await.expect("a proxy to the database");
    let settings = json!({ "max_connections": 2, "statement_timeout": statement_timeout });
    let pool = database.pool_at(proxy.url(), &settings).await;
    (database, proxy, pool)
}

/// Inserts a row; returns the outcome, and the number of attempts.
async fn insert(pool: &Pool) -> (Result<i32, WriteError<i32, Error>>, u32) {
    let attempts = AtomicU32::new(0);
    let written = pool.write(async |connection| {
        attempts.fetch_add(1, Ordering::Relaxed);
        sql("INSERT INTO things VALUES (1)").execute(connection).await?;
        Ok::<_, Error>(7)
    });
    (written.await, attempts.into_inner())
}

#[tokio::test]
async fn write_with_a_lost_commit_reply_is_in_doubt_and_not_retried() {
    let (database, proxy, pool) = wired("30s").await;
    proxy.set(PostgresFault::LoseCommitReplies);
    let (written, attempts) = insert(&pool).await;
    let error = written.expect_err("its outcome is not known");
    assert_eq!((error.in_doubt, error.cause.class(), attempts), (Some(7), ErrorClass::Unavailable, 1));
    assert!(error.cause.is_transient());
    assert_eq!(database.sql(ROWS).await, "1", "this one was committed");
}

#[tokio::test]
async fn write_that_fails_before_its_commit_is_not_in_doubt() {
    let (_database, _proxy, pool) = wired("30s").await;
    let failed = pool.write(async |connection| {
        sql("SELECT 1 / 0").execute(connection).await?;
        Ok::<_, Error>(7)
    });
    assert_eq!(failed.await.expect_err("a division by zero").in_doubt, None);
    assert_eq!(insert(&pool).await.0.expect("a free id"), 7);
}

#[tokio::test]
async fn delayed_commit_takes_effect_once_and_is_not_retried() {
    let (database, proxy, pool) = wired("30s").await;
    proxy.set(PostgresFault::DelayCommits);
    let (written, attempts) = insert(&pool).await;
    assert_eq!((written.expect_err("no answer").in_doubt, attempts), (Some(7), 1));
    assert_eq!(database.sql(ROWS).await, "0", "Postgres has not read the COMMIT");
    proxy.set(PostgresFault::Pass);
    eventually("the commit", SOON, async || database.sql(ROWS).await == "1").await;
}

/// The test verifies the assumption of `PostgresSettings::commit_bound`.
#[tokio::test]
async fn commit_that_postgres_does_not_read_in_time_never_takes_effect() {
    let (database, proxy, pool) = wired("1s").await;
    proxy.set(PostgresFault::DelayCommits);
    let (written, _) = insert(&pool).await;
    assert_eq!(written.expect_err("no answer").in_doubt, Some(7));
    let open = "SELECT count(*) FROM pg_stat_activity
                WHERE datname = current_database() AND application_name = 'pool' AND state LIKE 'idle in transaction%'";
    eventually("Postgres to end the session", SOON, async || database.sql(open).await == "0").await;
    proxy.set(PostgresFault::Pass);
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(database.sql(ROWS).await, "0");
}
