//! A start on a read-only database.

use std::time::Duration;

use serde_json::json;
use testkit::{ChildProcess, Postgres, eventually};

use crate::support::{Api, SOON, Stores};

/// Asserts that the service serves reads, refuses writes and reports both.
async fn assert_degraded(api: &Api) {
    for path in ["/products/3", "/products?limit=5", "/categories", "/products/ttl/3", "/events?after=0&limit=5"] {
        api.get(path).await.expect(200);
    }
    let refused = api.put("/products/1", &json!({ "stock": 1 })).await;
    refused.problem(503, "unavailable");
    assert_eq!(refused.header("retry-after"), "1");
    let report = eventually("the relay to be reported", SOON, async || {
        let report = api.readiness().await;
        (report["checks"]["relay"]["status"] == "failing").then_some(report)
    });
    let report = report.await;
    assert_eq!((&report["status"], &report["checks"]["postgres"]["status"]), (&json!("degraded"), &json!("ok")));
    assert_eq!(report["checks"]["postgres-writes"]["status"], "failing", "{report}");
}

/// Asserts that the service recovers without a restart.
async fn assert_recovery(stores: &Stores, api: &Api, sql: impl AsyncFn(&str) -> String) {
    eventually("a write", SOON, async || api.put("/products/1", &json!({ "stock": 7 })).await.status == 200).await;
    eventually("the readiness", SOON, async || api.get("/readyz").await.json()["status"] == "ready").await;
    let waiting = "SELECT count(*) FROM outbox WHERE done_at IS NULL";
    eventually("everything to be announced", SOON, async || sql(waiting).await == "0").await;
    assert!(stores.redis(&["XLEN", "product:events"]).await.parse::<u32>().expect("a length") > 0);
}

#[tokio::test]
async fn start_on_a_read_only_database_is_degraded_and_seeds_nothing() {
    let (stores, postgres) = (Stores::start().await, Postgres::shared().await);
    stores.api().await.stop().await;
    postgres.set_read_only(stores.database.name(), true).await.expect("the test's own SQL");
    // More products than were seeded before.
    let api = stores.api_with(&[("SEED_PRODUCTS", "140")]).await;
    assert_degraded(&api).await;
    let said = api.process.output();
    assert_eq!(said.matches("the catalogue is not seeded").count(), 1, "{said}");
    postgres.set_read_only(stores.database.name(), false).await.expect("the test's own SQL");
    assert_recovery(&stores, &api, async |sql: &str| stores.sql(sql).await).await;
    assert_eq!(stores.sql("SELECT count(*) FROM products").await, "130");
}

#[tokio::test]
async fn start_on_a_standby_is_degraded_until_it_is_promoted() {
    let (postgres, stores) = Stores::with_own_postgres().await;
    stores.api().await.stop().await;
    postgres.demote().await.expect("it starts as a standby");
    let api = stores.api().await;
    assert_degraded(&api).await;
    postgres.promote().await.expect("a standby");
    let sql = async |sql: &str| postgres.sql(stores.database.name(), sql).await.expect("the test's own SQL");
    assert_recovery(&stores, &api, sql).await;
}

#[tokio::test]
async fn start_waits_for_a_read_only_database_that_lacks_migrations() {
    let (stores, postgres) = (Stores::start().await, Postgres::shared().await);
    postgres.set_read_only(stores.database.name(), true).await.expect("the test's own SQL");
    let process = ChildProcess::start(&stores.command(&[])).expect("the binary has been built");
    let said = eventually("a word about it", SOON, async || {
        assert!(process.is_alive(), "{}", process.output());
        Some(process.output()).filter(|said| said.contains("read-only"))
    });
    let said = said.await;
    assert!(said.contains("20261122000001"), "it names what is missing: {said}");
    postgres.set_read_only(stores.database.name(), false).await.expect("the test's own SQL");
    eventually("the tables", 2 * SOON, async || {
        stores.try_sql("SELECT count(*) FROM products").await.is_ok_and(|count| count == "130")
    })
    .await;
    tokio::time::timeout(Duration::from_secs(60), process.term()).await.expect("in time").expect("it ends");
}
