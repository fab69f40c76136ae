//! A pool whose connections are all in use is busy, and its database is not unreachable.

use database::{DatabaseMode, Error, ErrorClass};
use serde_json::json;
use testkit::eventually;
use tokio::sync::Semaphore;

use crate::support::{Database, SOON, execute};

#[tokio::test]
async fn saturated_pool_is_busy_and_its_database_writable() {
    let database = Database::start().await;
    let pool = database.pool_with(&json!({ "max_connections": 2, "wait_timeout": "5s" })).await;
    let (taken, done) = (Semaphore::new(0), Semaphore::new(0));
    let hold = async || {
        pool.transaction(async |_| {
            taken.add_permits(1);
            let _ = done.acquire().await;
            Ok::<_, Error>(())
        })
        .await
    };
    let ask = async {
        let _ = taken.acquire_many(2).await;
        let waits = async { execute(&pool, "SELECT 1").await.expect_err("no connection is free") };
        let looks = eventually("a request that waits", SOON, async || pool.waiting() > 0);
        let (error, (), mode) = tokio::join!(waits, looks, pool.mode());
        assert_eq!(error.class(), ErrorClass::Busy, "{error}");
        assert_eq!(mode.expect("it answers"), DatabaseMode::Writable);
        done.add_permits(2);
    };
    let (one, other, ()) = tokio::join!(hold(), hold(), ask);
    one.and(other).expect("no session was disturbed");
    execute(&pool, "SELECT 1").await.expect("a connection is free again");
    assert_eq!(pool.waiting(), 0);
}

#[tokio::test]
async fn database_without_free_connections_is_not_unreachable() {
    let database = Database::start().await;
    // A role belongs to the whole server, so its name contains the database's name.
    let role = format!("few_{}", database.name());
    database.sql(&format!("CREATE ROLE {role} LOGIN CONNECTION LIMIT 2")).await;
    let url = database.url.replace("postgres@", &format!("{role}@"));
    let pool = database.pool_at(&url, &json!({ "max_connections": 2 })).await;
    assert_eq!(pool.mode().await.expect("it answers"), DatabaseMode::NoConnectionLeft);
    execute(&pool, "SELECT sum(generate_series) FROM generate_series(1, 2)")
        .await
        .expect("the pool has its connections");
}

/// The sessions of the pool stay logged in, so every request still succeeds.
#[tokio::test]
async fn database_that_refuses_new_logins_is_not_unreachable() {
    let database = Database::start().await;
    let role = format!("renamed_{}", database.name());
    database.sql(&format!("CREATE ROLE {role} LOGIN")).await;
    let url = database.url.replace("postgres@", &format!("{role}@"));
    let pool = database.pool_at(&url, &json!({ "max_connections": 1 })).await;
    assert_eq!(pool.mode().await.expect("it answers"), DatabaseMode::Writable);
    database.sql(&format!("ALTER ROLE {role} NOLOGIN")).await;
    eventually("new logins to be refused", SOON, async || {
        pool.mode().await.expect("open sessions answer") == DatabaseMode::LoginRefused
    })
    .await;
    execute(&pool, "SELECT 1").await.expect("the pool has its connection");
    database.sql(&format!("ALTER ROLE {role} LOGIN")).await;
    eventually("new logins", SOON, async || pool.mode().await.expect("it answers") == DatabaseMode::Writable).await;
}
