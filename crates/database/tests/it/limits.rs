//! Long and short statement timeouts on the same connections.

use std::time::Duration;

use database::{Error, ErrorClass, Pool, sql};
use diesel_async::RunQueryDsl;
use serde_json::json;
use testkit::{Proxy, eventually};
use tokio::time::timeout;

use crate::support::{Database, Name, SOON, execute};

/// Longer than the statement timeout plus the two seconds after which a silent connection is closed.
const LONG: &str = "SELECT pg_sleep(3.5)";

#[tokio::test]
async fn transaction_timeout_may_exceed_the_timeout_of_the_pool() {
    let database = Database::start().await;
    let pool = database.pool_with(&json!({ "max_connections": 1, "statement_timeout": "1s" })).await;
    for limit in [Some(Duration::from_secs(60)), None] {
        let long = pool.build_transaction().statement_timeout(limit);
        let slept = long.run(async |connection| Ok::<_, Error>(sql(LONG).execute(connection).await?)).await;
        assert_eq!(slept.unwrap_or_else(|error| panic!("{limit:?}: {error}")), 1);
        let error = execute(&pool, LONG).await.expect_err("an ordinary statement may not take so long");
        assert_eq!(error.class(), ErrorClass::Unavailable, "{error}");
    }
    let sessions =
        "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'pool' AND datname = current_database()";
    assert_eq!(database.sql(sessions).await, "1", "the connection is still the same one");
}

#[tokio::test]
async fn statement_timeout_of_a_transaction_is_enforced_by_postgres() {
    let database = Database::start().await;
    let pool = database.pool(1).await;
    let short = pool.build_transaction().statement_timeout(Some(Duration::from_millis(50)));
    let error = short.run(async |connection| Ok::<_, Error>(sql(LONG).execute(connection).await?)).await;
    assert_eq!(error.expect_err("it takes longer").class(), ErrorClass::Unavailable);
}

/// A load of the cache has a time limit that includes one statement timeout.
#[tokio::test]
async fn statements_of_a_transaction_can_share_the_statement_timeout() {
    let database = Database::start().await;
    let pool = database.pool_with(&json!({ "max_connections": 1, "statement_timeout": "9s" })).await;
    let limit = pool.build_transaction().of_statements(3).run(async |connection| {
        let setting = "SELECT current_setting('statement_timeout') AS name";
        Ok::<_, Error>(sql(setting).get_result::<Name>(connection).await?.name)
    });
    assert_eq!(limit.await.unwrap(), "3s");
}

/// Runs a transaction with a long timeout.
async fn run_long(pool: &Pool, statement: &str) -> Result<usize, Error> {
    let long = pool.build_transaction().statement_timeout(Some(Duration::from_secs(600)));
    long.run(async |connection| Ok::<_, Error>(sql(statement).execute(connection).await?)).await
}

/// Returns a pool whose connections can die unnoticed, and the proxy that lets them.
async fn dying(database: &Database, connections: u32) -> (Proxy, Pool) {
    let (server, name) = database.url.rsplit_once('/').expect("a URL with a database");
    let (login, port) = server.rsplit_once(':').expect("a URL with a port");
    let proxy = Proxy::to(port.parse().expect("a number")).await.expect("a proxy to the database");
    let url = format!("{login}:{}/{name}", proxy.port());
    let pool = database.pool_at(&url, &json!({ "max_connections": connections, "statement_timeout": "1s" })).await;
    (proxy, pool)
}

#[tokio::test]
async fn long_transaction_on_a_dead_connection_fails_as_soon_as_a_short_one() {
    let database = Database::start().await;
    let (proxy, pool) = dying(&database, 1).await;
    execute(&pool, "SELECT 1").await.expect("the connection works");
    proxy.drop_packets();
    let failed = timeout(SOON, run_long(&pool, "SELECT 1")).await.expect("it waits for no long timeout");
    assert_eq!(failed.expect_err("the connection is dead").class(), ErrorClass::Unavailable);
    assert_eq!(run_long(&pool, "SELECT 1").await.expect("a new connection works"), 1);
}

#[tokio::test]
async fn long_statement_fails_soon_after_another_connection_was_found_dead() {
    let database = Database::start().await;
    let (proxy, pool) = dying(&database, 2).await;
    let long = run_long(&pool, "SELECT pg_sleep(600)");
    let short = async {
        let sleeping = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(600)' AND state = 'active'
                        AND pid <> pg_backend_pid() AND datname = current_database()";
        eventually("the statement runs", SOON, async || database.sql(sleeping).await == "1").await;
        proxy.drop_packets();
        let failed = execute(&pool, "SELECT 1").await;
        assert_eq!(failed.expect_err("the connection is dead").class(), ErrorClass::Unavailable);
    };
    let (long, ()) =
        timeout(2 * SOON, async { tokio::join!(long, short) }).await.expect("it waits for no long timeout");
    assert_eq!(long.expect_err("the connection is dead").class(), ErrorClass::Unavailable);
}

#[tokio::test]
async fn client_may_not_stay_idle_for_longer_in_a_long_transaction() {
    let database = Database::start().await;
    let pool = database.pool_with(&json!({ "statement_timeout": "1s" })).await;
    for limit in [Some(Duration::from_secs(60)), None] {
        let idle = pool.build_transaction().statement_timeout(limit).run(async |connection| {
            let idle = "SELECT current_setting('idle_in_transaction_session_timeout') AS name";
            Ok::<_, Error>(sql(idle).get_result::<Name>(connection).await?.name)
        });
        assert_eq!(idle.await.expect("a setting"), "3s", "its locks would outlive it by that time");
    }
}
