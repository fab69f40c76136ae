//! The service's database is a standby, or read-only, while the service runs or when it starts.

use serde_json::{Value, json};
use testkit::{Postgres, eventually};

use crate::support::{SOON, Service, Stores, ids, item, until_list};

/// Asserts that the service serves lists, from the cache and from the database, and reports that it cannot write.
async fn assert_degraded(service: &Service) -> Value {
    let path = "/recommendations/13";
    eventually("a read", 2 * SOON, async || service.get(path).await.status == 200).await;
    let report = eventually("the readiness", 2 * SOON, async || {
        let report = service.get("/readyz").await;
        let is_told = |report: &Value| report["checks"]["postgres-writes"]["status"] == "failing";
        (report.status == 200).then(|| report.json()).filter(is_told)
    });
    let report = report.await;
    assert_eq!((&report["status"], &report["checks"]["postgres"]["status"]), (&json!("degraded"), &json!("ok")));
    assert_eq!(report["checks"]["catalogue"]["status"], "ok", "{report}");
    for product in 1..20 {
        let list = service.get(&format!("/recommendations/{product}")).await.expect(200).json();
        assert!(!ids(&list, "similar").is_empty(), "{list}");
    }
    service.get(&format!("/recommendations?cart={}", uuid::Uuid::new_v4())).await.expect(200);
    service.get("/recommendations/999999").await.problem(404, "not-found");
    report
}

/// Asserts that the service applies the changes of the outage without a restart.
async fn assert_recovery(service: &Service) {
    let is_new = |list: &Value| item(list, 25).is_some_and(|item| item["price_cents"] == 13_901);
    until_list(service, "/recommendations/13", "the price of meanwhile", is_new).await;
    let writes = async || service.get("/readyz").await.json()["checks"]["postgres-writes"]["status"] == "ok";
    eventually("the readiness", SOON, writes).await;
}

const CHANGE: &str = "UPDATE products SET price_cents = 13901 WHERE id = 25";

#[tokio::test]
async fn recommendation_on_a_demoted_primary_is_degraded_until_promotion() {
    let postgres = Postgres::start().await.expect("a private Postgres");
    let stores = Stores::on(&postgres).await;
    let (_api, service) = stores.both().await;
    postgres.demote().await.expect("it starts as a standby");
    let report = assert_degraded(&service).await;
    assert!(report["checks"]["postgres-writes"]["detail"].as_str().unwrap().contains("standby"), "{report}");
    stores.shop_sql(CHANGE).await;
    postgres.promote().await.expect("a standby");
    assert_recovery(&service).await;
}

#[tokio::test]
async fn recommendation_started_on_a_standby_is_degraded_until_promotion() {
    let postgres = Postgres::start().await.expect("a private Postgres");
    let stores = Stores::on(&postgres).await;
    let (api, before) = stores.both().await;
    before.stop().await;
    postgres.demote().await.expect("it starts as a standby");
    let service = stores.start_service(api.url(), &[]).await;
    assert_degraded(&service).await;
    stores.shop_sql(CHANGE).await;
    postgres.promote().await.expect("a standby");
    assert_recovery(&service).await;
}

#[tokio::test]
async fn recommendation_on_a_read_only_database_is_degraded_until_writable() {
    let (stores, postgres) = (Stores::start().await, Postgres::shared().await);
    let (api, before) = stores.both().await;
    before.stop().await;
    postgres.set_read_only(stores.database.name(), true).await.expect("the test's own SQL");
    let service = stores.start_service(api.url(), &[]).await;
    assert_degraded(&service).await;
    stores.shop_sql(CHANGE).await;
    postgres.set_read_only(stores.database.name(), false).await.expect("the test's own SQL");
    assert_recovery(&service).await;
}
