//! Strategy 7: the combination of all strategies.

use serde_json::json;
use testkit::eventually;

use crate::support::{SOON, Stores, started};

#[tokio::test]
async fn write_removes_the_entry_and_every_entry_that_shows_the_product() {
    let (_stores, api) = started().await;
    let before = api.get("/products/production/1").await.expect(200);
    let list = format!("/products/by-category/{}", before.json()["category"]["id"]);
    api.get(&list).await.expect(200);
    let written = api.put("/products/production/1", &json!({ "name": "Renamed" })).await.expect(200);
    assert_eq!(written.source(), "fwd=method; detail=invalidated");
    for path in ["/products/production/1", "/products/tags/1"] {
        assert_eq!(api.get(path).await.expect(200).version(), before.version() + 1, "{path}");
    }
    assert!(api.get(&list).await.expect(200).text().contains("Renamed"));
}

#[tokio::test]
async fn write_made_elsewhere_is_invalidated_by_event() {
    let (stores, api) = started().await;
    let elsewhere = stores.api().await;
    let before = api.get("/products/production/1").await.expect(200).version();
    elsewhere.put("/products/1", &json!({ "stock": 1 })).await.expect(200);
    eventually("the event", SOON, async || api.get("/products/production/1").await.expect(200).version() == before + 1)
        .await;
}

#[tokio::test]
async fn hot_entry_is_refreshed_in_the_background_and_outlives_an_outage() {
    let stores = Stores::start().await;
    let settings = [("LANES__PRODUCTION__SOFT_TTL", "200ms"), ("LANES__PRODUCTION__LEASE", "10s")];
    let api = stores.api_with(&settings).await;
    let before = api.get("/products/production/1").await.expect(200).version();
    // A change without an event: the only way to a stale entry here.
    stores.silence().await;
    stores.sql("UPDATE products SET stock = stock + 1 WHERE id = 1").await;
    stores.until_stale(&api, "product:production:1").await;
    let lock = stores.lock_products().await;
    for _ in 0..3 {
        let read = api.get("/products/production/1").await.expect(200);
        assert_eq!((read.version(), read.source()), (before, "stale"));
    }
    lock.release().await;
    eventually("the refresh", SOON, async || {
        api.get("/products/production/1").await.expect(200).version() == before + 1
    })
    .await;
}

/// An expired entry may be served while it is refreshed; an invalidated entry may not.
#[tokio::test]
async fn invalidated_entry_is_not_served_while_the_database_is_blocked() {
    let stores = Stores::start().await;
    let api =
        stores.api_with(&[("LANES__PRODUCTION__SOFT_TTL", "100ms"), ("POSTGRES__STATEMENT_TIMEOUT", "300ms")]).await;
    // On a busy machine, a statement may take longer than the short statement timeout.
    let is_read = async || api.get("/products/production/1").await.status == 200;
    eventually("the first load", SOON, is_read).await;
    stores.until_stale(&api, "product:production:1").await;
    let is_written = async || api.put("/products/production/1", &json!({ "stock": 1 })).await.status == 200;
    eventually("the write", SOON, is_written).await;
    let lock = stores.lock_products().await;
    let refused = api.get("/products/production/1").await;
    refused.problem(503, "unavailable");
    assert_eq!(refused.header("retry-after"), "1");
    lock.release().await;
    eventually("a load", SOON, is_read).await;
}
