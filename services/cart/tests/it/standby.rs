//! The cart's database is a standby, or read-only, while the cart runs or when it starts.

use serde_json::{Value, json};
use testkit::{Postgres, eventually};

use crate::support::{CartOf, Fake, SOON, Service, Stores};

/// Asserts that the service serves reads, refuses writes and reports both.
async fn assert_degraded(service: &Service, cart: &CartOf<'_>) -> Value {
    eventually("a read", 2 * SOON, async || cart.view().await.status == 200).await;
    let report = eventually("the relay to be reported", 2 * SOON, async || {
        let report = service.get("/readyz").await;
        (report.status == 200 && report.json()["checks"]["relay"]["status"] == "failing").then(|| report.json())
    });
    let report = report.await;
    for _ in 0..5 {
        cart.view().await.expect(200);
        service.get(&format!("{}?", cart.path())).await.expect(200);
        service.get("/events?after=0&limit=5").await.expect(200);
        let refused = cart.put(1, 3).await;
        refused.problem(503, "unavailable");
        assert_eq!(refused.header("retry-after"), "1");
        cart.remove(1).await.problem(503, "unavailable");
        service.post("/carts", &json!({})).await.problem(503, "unavailable");
    }
    assert_eq!((&report["status"], &report["checks"]["postgres"]["status"]), (&json!("degraded"), &json!("ok")));
    assert_eq!(report["checks"]["postgres-writes"]["status"], "failing", "{report}");
    report
}

/// Asserts that the service recovers without a restart.
async fn assert_recovery(service: &Service, cart: &CartOf<'_>, sql: impl AsyncFn(&str) -> String) {
    eventually("a write", SOON, async || cart.put(1, 4).await.status == 200).await;
    let relay = async || service.get("/readyz").await.json()["checks"]["relay"]["status"] == "ok";
    eventually("the relay", SOON, relay).await;
    let waiting = "SELECT count(*) FROM outbox WHERE done_at IS NULL";
    eventually("everything to be announced", SOON, async || sql(waiting).await == "0").await;
    assert_eq!(cart.line(1).await["quantity"], 4);
}

#[tokio::test]
async fn cart_on_a_demoted_primary_is_degraded_until_it_is_promoted() {
    let postgres = Postgres::start().await.expect("a private Postgres");
    let stores = Stores::on(&postgres).await;
    let fake = Fake::start(3).await;
    let service = stores.cart(&fake).await;
    let cart = CartOf::at(&service).await;
    cart.put(1, 2).await.expect(201);
    postgres.demote().await.expect("it starts as a standby");
    let report = assert_degraded(&service, &cart).await;
    assert!(report["checks"]["postgres-writes"]["detail"].as_str().unwrap().contains("standby"), "{report}");
    // A view that is not cached, and is not cached by this read: the standby may lack writes.
    stores.redis(&["DEL", &cart.key()]).await;
    for _ in 0..2 {
        assert_eq!(cart.view().await.expect(200).source(), "fwd=miss; detail=not-stored");
    }
    assert_eq!(cart.line(1).await["quantity"], 2);
    postgres.promote().await.expect("a standby");
    let sql = async |sql: &str| postgres.sql("cart", sql).await.expect("the test's own SQL");
    assert_recovery(&service, &cart, sql).await;
}

#[tokio::test]
async fn cart_that_starts_on_a_standby_is_degraded_until_it_is_promoted() {
    let postgres = Postgres::start().await.expect("a private Postgres");
    let stores = Stores::on(&postgres).await;
    let fake = Fake::start(3).await;
    let before = stores.cart(&fake).await;
    let cart = CartOf::at(&before).await;
    cart.put(1, 2).await.expect(201);
    let id = cart.id.clone();
    before.stop().await;
    postgres.demote().await.expect("it starts as a standby");
    let service = stores.cart(&fake).await;
    let cart = CartOf { service: &service, id };
    assert_degraded(&service, &cart).await;
    postgres.promote().await.expect("a standby");
    let sql = async |sql: &str| postgres.sql("cart", sql).await.expect("the test's own SQL");
    assert_recovery(&service, &cart, sql).await;
}

#[tokio::test]
async fn cart_started_on_a_read_only_database_is_degraded_until_writes_work() {
    let (stores, postgres) = (Stores::start().await, Postgres::shared().await);
    let fake = Fake::start(3).await;
    let before = stores.cart(&fake).await;
    let cart = CartOf::at(&before).await;
    cart.put(1, 2).await.expect(201);
    let id = cart.id.clone();
    before.stop().await;
    postgres.set_read_only(stores.database.name(), true).await.expect("the test's own SQL");
    let service = stores.cart(&fake).await;
    let cart = CartOf { service: &service, id };
    assert_degraded(&service, &cart).await;
    postgres.set_read_only(stores.database.name(), false).await.expect("the test's own SQL");
    assert_recovery(&service, &cart, async |sql: &str| stores.sql(sql).await).await;
}
