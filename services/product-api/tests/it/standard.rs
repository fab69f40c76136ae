//! The routes that every service has: health, metrics, the API's description and its page, the explanation of problems.

use serde_json::json;
use testkit::http::{assert_description_holds, assert_head_as_get};
use testkit::{Postgres, eventually};

use crate::support::{SOON, Stores};

#[tokio::test]
async fn a_service_with_both_stores_is_alive_and_ready() {
    let stores = Stores::start().await;
    let api = stores.api().await;
    assert_eq!(api.get("/livez").await.expect(200).json(), json!({ "status": "alive" }));
    let ready = api.get("/readyz").await.expect(200).json();
    assert_eq!((&ready["status"], &ready["checks"]["postgres"]["status"]), (&json!("ready"), &json!("ok")));
    assert_eq!(ready["checks"]["redis"]["need"], "preferred");
}

#[tokio::test]
async fn without_redis_the_service_is_degraded_and_not_unready() {
    let stores = Stores::start().await;
    let api = stores.api().await;
    stores.redis.stop().await.expect("it stops");
    eventually("the report of the loss", SOON, async || api.get("/readyz").await.json()["status"] == "degraded").await;
    assert_eq!(api.get("/readyz").await.expect(200).json()["checks"]["redis"]["status"], "failing");
    stores.redis.restart().await.expect("it starts");
    eventually("the report of the return", SOON, async || api.get("/readyz").await.json()["status"] == "ready").await;
}

/// Without its database the service serves its hits, returns 503 for the rest, and recovers without intervention.
#[tokio::test]
async fn without_postgres_the_service_is_unready_serves_hits_and_recovers() {
    let postgres = Postgres::start().await.expect("a private Postgres");
    let stores = Stores::on(&postgres).await;
    let api = stores.api_with(&[("POSTGRES__WAIT_TIMEOUT", "500ms")]).await;
    let known = api.get("/products/explicit/1").await.expect(200);
    postgres.kill().await.expect("it is killed");

    let unready = api.get("/readyz").await.expect(503).json();
    assert_eq!((&unready["status"], &unready["checks"]["postgres"]["need"]), (&json!("unready"), &json!("required")));
    api.get("/livez").await.expect(200);
    let hit = api.get("/products/explicit/1").await.expect(200);
    assert_eq!((hit.source(), &hit.body), ("hit", &known.body));
    for path in [
        "/products/explicit/2",
        "/products/2",
        "/products",
        "/categories",
        "/products/featured",
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
    let stores = Stores::start().await;
    let api = stores.api().await;
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

#[tokio::test]
async fn openapi_document_is_3_1_and_has_every_route_with_its_methods() {
    let stores = Stores::start().await;
    let api = stores.api().await;
    let description = api.get("/openapi.json").await.expect(200);
    assert_eq!(description.header("content-type"), "application/json");
    let description = description.json();
    assert!(
        description["openapi"].as_str().is_some_and(|version| version.starts_with("3.1.")),
        "{}",
        description["openapi"]
    );
    assert_eq!(description["info"]["title"], "Product API");
    let mut routes = Vec::new();
    for (path, methods) in description["paths"].as_object().expect("an object") {
        for (method, operation) in methods.as_object().expect("an object") {
            routes.push(format!("{method} {path}"));
            assert!(operation["responses"].as_object().is_some_and(|responses| !responses.is_empty()));
            for name in path.split(['{', '}']).skip(1).step_by(2) {
                let described = operation["parameters"].as_array().is_some_and(|parameters| {
                    parameters.iter().any(|parameter| parameter["name"] == name && parameter["in"] == "path")
                });
                assert!(described, "{method} {path} does not describe {name}");
            }
        }
    }
    routes.sort();
    let expected = [
        "delete /products/explicit/{id}",
        "delete /products/{id}",
        "get /cache/entries",
        "get /cache/feed",
        "get /cache/stats/{key}",
        "get /categories",
        "get /events",
        "get /products",
        "get /products/by-category/{id}",
        "get /products/explicit/{id}",
        "get /products/featured",
        "get /products/{id}",
        "get /products/{strategy}/{id}",
        "head /cache/entries",
        "head /cache/feed",
        "head /cache/stats/{key}",
        "head /categories",
        "head /events",
        "head /products",
        "head /products/by-category/{id}",
        "head /products/explicit/{id}",
        "head /products/featured",
        "head /products/{id}",
        "head /products/{strategy}/{id}",
        "post /products",
        "put /categories/{id}",
        "put /products/explicit/{id}",
        "put /products/{id}",
        "put /products/{strategy}/{id}",
    ];
    assert_eq!(routes, expected);
    // Every reference can be resolved.
    let text = description.to_string();
    for reference in text.split("\"$ref\":\"#").skip(1).filter_map(|rest| rest.split('"').next()) {
        assert!(description.pointer(reference).is_some(), "{reference} leads nowhere");
    }
}

#[tokio::test]
async fn the_docs_page_works_without_a_network() {
    let stores = Stores::start().await;
    let api = stores.api().await;
    assert_eq!(api.get("/docs").await.header("location"), "/docs/");
    let page = api.get("/docs/").await.expect(200);
    assert!(page.header("content-type").starts_with("text/html"));
    for file in page.text().split(['"', '\'']).filter(|text| text.ends_with(".js") || text.ends_with(".css")) {
        assert!(!file.contains("//"), "{file} is somewhere else");
        api.get(&format!("/docs/{}", file.trim_start_matches("./"))).await.expect(200);
    }
    assert!(api.get("/docs/swagger-initializer.js").await.expect(200).text().contains("/openapi.json"));
}

#[tokio::test]
async fn a_problem_s_type_leads_to_its_explanation() {
    let stores = Stores::start().await;
    let api = stores.api().await;
    let problem = api.get("/products/ttl/4711").await.problem(404, "not-found");
    let page = api.get(problem["type"].as_str().expect("a reference")).await.expect(200);
    assert!(page.header("content-type").starts_with("text/plain") && page.text().contains("Not found"));
}

#[tokio::test]
async fn head_is_answered_like_get_on_every_route() {
    let stores = Stores::start().await;
    let api = stores.api().await;
    api.get("/products/ttl/1").await.expect(200);
    assert_head_as_get(&api, &[("strategy", "ttl"), ("id", "1"), ("key", "product:ttl:1")]).await;
}

#[tokio::test]
async fn openapi_document_holds_for_every_route() {
    let stores = Stores::start().await;
    let api = stores.api().await;
    assert_description_holds(&api, &[("strategy", "ttl"), ("id", "1"), ("key", "product:ttl:1")]).await;
}

/// POST and PUT of categories; the other writes are in `bad_input.rs`.
#[tokio::test]
async fn a_body_that_is_an_array_writes_nothing() {
    let stores = Stores::start().await;
    let api = stores.api().await;
    let before = api.get("/categories").await.expect(200).body;
    api.put("/categories/1", &json!(["A name by position", "and a description"])).await.problem(422, "invalid-fields");
    api.put("/categories/1", &json!({ "name": null })).await.problem(422, "invalid-fields");
    assert_eq!(api.get("/categories").await.expect(200).body, before);
    api.post("/products", &json!(["A name by position", "d", 5, 6, 1, true])).await.problem(422, "invalid-fields");
    assert!(!api.get("/products?limit=500").await.expect(200).text().contains("by position"));
}
