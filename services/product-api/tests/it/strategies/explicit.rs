//! Strategy 2: the writer deletes the entry.

use serde_json::json;

use crate::support::started;

#[tokio::test]
async fn a_write_deletes_the_entry_and_the_next_read_loads() {
    let (stores, api) = started().await;
    let before = api.get("/products/explicit/1").await.expect(200).version();
    let written = api.put("/products/explicit/1", &json!({ "price_cents": 1 })).await.expect(200);
    assert_eq!(written.source(), "fwd=method; detail=invalidated");
    assert!(!stores.has_entry("product:explicit:1").await, "deleted before the write was answered");
    for source in ["fwd=miss; stored", "hit"] {
        let read = api.get("/products/explicit/1").await.expect(200);
        assert_eq!((read.version(), read.source(), &read.json()["price_cents"]), (before + 1, source, &json!(1)));
    }
}

/// The race that a delete alone would lose: a load has begun, but its value is not stored yet.
#[tokio::test]
async fn write_removes_the_lease_of_a_load_in_flight() {
    let (stores, api) = started().await;
    let lease = format!("L{}", "0".repeat(32));
    stores.redis(&["SET", "product:explicit:1", &lease, "PX", "60000"]).await;
    api.put("/products/explicit/1", &json!({ "stock": 1 })).await.expect(200);
    assert!(!stores.has_entry("product:explicit:1").await);
}

#[tokio::test]
async fn deleted_product_is_gone_at_once_and_cached_as_absent() {
    let (stores, api) = started().await;
    api.get("/products/explicit/1").await.expect(200);
    let deleted = api.delete("/products/explicit/1").await.expect(204);
    assert_eq!((deleted.source(), deleted.body.len()), ("fwd=method; detail=invalidated", 0));
    api.get("/products/explicit/1").await.problem(404, "not-found");
    // The event of the deletion removes the negative entry once more.
    stores.until_published().await;
    stores.redis(&["UNLINK", "product:explicit:1"]).await;
    for source in ["fwd=miss; stored", "hit"] {
        let read = api.get("/products/explicit/1").await;
        read.problem(404, "not-found");
        assert_eq!(read.source(), source);
    }
    api.delete("/products/explicit/1").await.problem(404, "not-found");
    api.put("/products/explicit/1", &json!({ "stock": 1 })).await.problem(404, "not-found");
}

/// With the other strategies, a product is deleted through the catalogue routes.
#[tokio::test]
async fn no_other_strategy_deletes() {
    let (_stores, api) = started().await;
    for strategy in ["ttl", "writethrough", "events", "swr", "tags", "production"] {
        let refused = api.delete(&format!("/products/{strategy}/1")).await;
        refused.problem(405, "method-not-allowed");
        assert_eq!(refused.header("allow"), "GET, HEAD, PUT, OPTIONS");
    }
    api.get("/products/1").await.expect(200);
}

/// The cost of the strategy: only its own writes invalidate the entry.
#[tokio::test]
async fn write_outside_the_strategy_leaves_the_entry_stale() {
    let (_stores, api) = started().await;
    let before = api.get("/products/explicit/1").await.expect(200).version();
    api.put("/products/1", &json!({ "stock": 1 })).await.expect(200);
    let read = api.get("/products/explicit/1").await.expect(200);
    assert_eq!((read.version(), read.source()), (before, "hit"));
}
