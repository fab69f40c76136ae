//! The first connections of a pool.

use std::time::Duration;

use database::{PostgresSettings, StartupError, connect};
use serde_json::json;
use testkit::Proxy;
use tokio::net::TcpListener;
use tokio::time::sleep;

use crate::support::{Database, SOON, execute};

/// Returns a database, a proxy to it, and settings that lead through the proxy.
async fn behind_proxy() -> (Database, Proxy, PostgresSettings) {
    let database = Database::start().await;
    let (server, name) = database.url.rsplit_once('/').expect("a URL with a database");
    let (login, port) = server.rsplit_once(':').expect("a URL with a port");
    let proxy = Proxy::to(port.parse().expect("a number")).await.expect("a proxy to the database");
    let url = format!("{login}:{}/{name}", proxy.port());
    let settings =
        serde_json::from_value(json!({ "url": url, "max_connections": 1, "wait_timeout": "2s" })).expect("settings");
    (database, proxy, settings)
}

#[tokio::test]
async fn pool_waits_for_a_postgres_that_does_not_answer_at_first() {
    let (_database, proxy, settings) = behind_proxy().await;
    proxy.hold();
    let later = async {
        // Longer than several attempts.
        sleep(Duration::from_secs(5)).await;
        proxy.release();
    };
    let (pool, ()) = tokio::join!(connect(&settings, "pool", SOON), later);
    pool.expect("a pool, once Postgres answers");
}

/// The first host accepts connections and never answers, as one that has vanished does not either.
#[tokio::test]
async fn next_host_of_the_url_is_tried_in_time() {
    let database = Database::start().await;
    let vanished = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let port = vanished.local_addr().expect("a bound port").port();
    let (login, host) = database.url.rsplit_once('@').expect("a URL with a login");
    let url = format!("{login}@127.0.0.1:{port},{host}");
    // The defaults: the whole sequence of attempts has 2 s.
    let settings = serde_json::from_value(json!({ "url": url })).expect("settings");
    let pool = connect(&settings, "pool", SOON).await.expect("a connection to the second host");
    execute(&pool, "CREATE TABLE reached ()").await.expect("a statement on the second host");
    assert_eq!(database.sql("SELECT count(*) FROM reached").await, "0");
}

#[tokio::test]
async fn pool_is_given_up_after_the_longest_wait() {
    let (_database, proxy, settings) = behind_proxy().await;
    proxy.hold();
    let given_up = connect(&settings, "pool", Duration::from_millis(500)).await;
    assert!(matches!(given_up, Err(StartupError::Unreachable { .. })), "{:?}", given_up.err());
}
