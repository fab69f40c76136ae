//! Health without a store, metrics, and the operations routes without a token: open on loopback, and closed elsewhere.

use reqwest::Method;
use serde_json::json;
use testkit::eventually;

use crate::support::{Api, SOON, Service, Stores, TestResponse, started};

#[tokio::test]
async fn without_redis_the_service_is_degraded_and_not_unready() {
    let (stores, api) = started().await;
    stores.redis.stop().await.expect("it stops");
    // The listener learns of the loss at another moment.
    eventually("the report of the loss", SOON, async || {
        let report = api.readiness().await;
        report["status"] == "degraded" && report["checks"]["redis"]["status"] == "failing"
    })
    .await;
    stores.redis.restart().await.expect("it starts");
    eventually("the report of the return", SOON, async || api.get("/readyz").await.json()["status"] == "ready").await;
}

/// Without its database the service serves its hits, returns 503 for the rest, and recovers without intervention.
#[tokio::test]
async fn without_postgres_the_service_is_unready_serves_hits_and_recovers() {
    let (postgres, stores) = Stores::with_own_postgres().await;
    let api = stores.api_with(&[("POSTGRES__WAIT_TIMEOUT", "500ms")]).await;
    let known = api.get("/products/explicit/1").await.expect(200);
    postgres.kill().await.expect("it is killed");

    let unready = api.get("/readyz").await.expect(503).json();
    assert_eq!((&unready["status"], &unready["checks"]["postgres"]["need"]), (&json!("unready"), &json!("required")));
    api.get("/livez").await.expect(200);
    let hit = api.get("/products/explicit/1").await.expect(200);
    assert_eq!((hit.source(), &hit.body), ("hit", &known.body));
    for path in [
        "/products/explicit/2", "/products/2", "/products", "/categories", "/products/featured",
        "/products/by-category/1",
    ] {
        let refused = api.get(path).await;
        refused.problem(503, "unavailable");
        assert_eq!(refused.header("retry-after"), "1", "{path}");
    }
    for path in ["/products/explicit/1", "/products/writethrough/1", "/products/tags/1", "/products/1"] {
        api.put(path, &json!({ "stock": 1 })).await.problem(503, "unavailable");
    }
    assert_eq!(
        api.get("/products/explicit/1").await.expect(200).source(),
        "hit",
        "a write that failed removes nothing"
    );

    postgres.restart().await.expect("it starts");
    eventually("the service to get well", SOON, async || api.get("/readyz").await.status == 200).await;
    for path in ["/products/explicit/2", "/products/writethrough/1", "/categories"] {
        api.get(path).await.expect(200);
    }
    let written = api.put("/products/explicit/1", &json!({ "stock": 1 })).await.expect(200).version();
    assert_eq!(api.get("/products/explicit/1").await.expect(200).version(), written);
}

#[tokio::test]
async fn metrics_are_prometheus_text_and_count_reads_loads_and_requests() {
    let (_stores, api) = started().await;
    for _ in 0..3 {
        api.get("/products/ttl/1").await.expect(200);
    }
    api.put("/products/explicit/1", &json!({ "stock": 1 })).await.expect(200);
    assert_eq!(
        api.get("/metrics").await.expect(200).header("content-type"),
        "text/plain; version=0.0.4; charset=utf-8"
    );
    let metrics = api.metrics().await;
    let reads =
        |outcome| metrics.sum("cache_reads_total", &[("keyspace", "product"), ("lane", "ttl"), ("outcome", outcome)]);
    assert_eq!((reads("miss"), reads("hit"), reads("bypass")), (1.0, 2.0, 0.0));
    assert_eq!(metrics.sum("cache_loads_total", &[("lane", "ttl")]), 1.0);
    assert_eq!(metrics.sum("cache_fills_total", &[("lane", "ttl"), ("result", "stored")]), 1.0);
    assert_eq!(metrics.sum("cache_load_seconds_count", &[("lane", "ttl")]), 1.0);
    assert!(metrics.sum("cache_invalidations_total", &[("result", "done")]) >= 1.0);
    let route = [("route", "/products/{strategy}/{id}"), ("method", "GET"), ("status", "2xx")];
    assert_eq!(metrics.sum("http_request_duration_seconds_count", &route), 3.0);
    for name in ["cache_breaker_open", "cache_repairs_pending", "product_events_total"] {
        assert!(metrics.has(name), "no {name}");
    }
}

/// POST and PUT of categories; the other writes are in `bad_input.rs`.
#[tokio::test]
async fn a_body_that_is_an_array_writes_nothing() {
    let (_stores, api) = started().await;
    let before = api.get("/categories").await.expect(200).body;
    api.put("/categories/1", &json!(["A name by position", "and a description"])).await.problem(422, "invalid-fields");
    api.put("/categories/1", &json!({ "name": null })).await.problem(422, "invalid-fields");
    assert_eq!(api.get("/categories").await.expect(200).body, before);
    api.post("/products", &json!(["A name by position", "d", 5, 6, 1, true])).await.problem(422, "invalid-fields");
    assert!(!api.get("/products?limit=500").await.expect(200).text().contains("by position"));
}

const ROUTES: [&str; 5] =
    ["/events?after=0", "/cache/entries", "/cache/stats/product:ttl:1", "/cache/feed?kind=nonsense", "/metrics"];

async fn get_with(api: &Api, path: &str, authorization: &str) -> TestResponse {
    Service::send(api.request(Method::GET, path).header("authorization", authorization)).await
}

#[tokio::test]
async fn operations_routes_are_open_on_loopback_without_a_token() {
    let (_stores, api) = started().await;
    api.get("/products/ttl/1").await.expect(200);
    for route in ["/events?after=0", "/cache/entries", "/cache/stats/product:ttl:1", "/metrics"] {
        api.get(route).await.expect(200);
    }
}

/// Clients on other hosts must not reach these routes, and without a token there is nothing to check.
#[tokio::test]
async fn operations_routes_are_closed_beyond_loopback_without_a_token() {
    let stores = Stores::start().await;
    let api = stores.api_with(&[("HTTP__HOST", "0.0.0.0")]).await;
    for route in ROUTES {
        api.get(route).await.problem(401, "unauthorized");
        get_with(&api, route, "Bearer ").await.problem(401, "unauthorized");
    }
    api.get("/products/ttl/1").await.expect(200);
    assert!(api.process.output().contains("OPERATIONS__TOKEN_FILE"), "the log says what is missing");
}

#[tokio::test]
async fn a_token_file_that_cannot_be_used_stops_the_start() {
    let stores = Stores::start().await;
    let empty = tempfile::NamedTempFile::new().expect("a file");
    for path in ["/nowhere/at/all", empty.path().to_str().expect("a plain path")] {
        let mut command = stores.command(&[("OPERATIONS__TOKEN_FILE", path)]);
        let output = command.output().expect("it runs");
        assert!(!output.status.success());
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(error.contains("OPERATIONS__TOKEN_FILE") && error.contains(path), "{error}");
    }
}
