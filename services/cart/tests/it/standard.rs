//! The routes that every service has: health, metrics, the API's description, the inspection of the cache.

use serde_json::json;
use testkit::eventually;
use testkit::http::{assert_description_holds, assert_head_as_get};

use crate::support::{CartOf, Fake, SOON, Stores};

#[tokio::test]
async fn cart_is_ready_when_all_its_dependencies_are_available() {
    let stores = Stores::start().await;
    let fake = Fake::start(1).await;
    let service = stores.cart(&fake).await;
    eventually("it to be ready", SOON, async || service.get("/readyz").await.expect(200).json()["status"] == "ready")
        .await;
    assert_eq!(service.get("/livez").await.expect(200).json(), json!({ "status": "alive" }));
}

#[tokio::test]
async fn openapi_document_names_every_route() {
    let stores = Stores::start().await;
    let fake = Fake::start(1).await;
    let service = stores.cart(&fake).await;
    let api = service.get("/openapi.json").await.expect(200).json();
    let described: Vec<String> = api["paths"]
        .as_object()
        .expect("paths")
        .iter()
        .flat_map(|(path, methods)| {
            methods.as_object().expect("methods").keys().map(move |method| format!("{method} {path}"))
        })
        .collect();
    for route in [
        "post /carts",
        "get /carts/{id}",
        "put /carts/{id}/items/{product_id}",
        "delete /carts/{id}/items/{product_id}",
        "get /events",
        "get /cache/stats/{key}",
        "get /cache/entries",
    ] {
        assert!(described.contains(&route.to_owned()), "{route} is not in {described:?}");
    }
    service.get("/docs/").await.expect(200);
}

#[tokio::test]
async fn cache_entries_can_be_inspected_and_exclude_streams() {
    let stores = Stores::start().await;
    let fake = Fake::start(2).await;
    let service = stores.cart(&fake).await;
    let cart = CartOf::at(&service).await;
    cart.put(1, 1).await.expect(201);
    cart.put(2, 1).await.expect(201);
    stores.until_announced().await;
    cart.view().await.expect(200);
    let view = service.get(&format!("/cache/stats/{}", cart.key())).await.expect(200).json();
    assert_eq!((&view["state"], &view["tags"]), (&json!("fresh"), &json!(["product:1", "product:2"])));
    let fact = service.get("/cache/stats/cart:product:1").await.expect(200).json();
    assert_eq!(fact["version"], 1);
    let entries = service.get("/cache/entries").await.expect(200).json();
    let mut names: Vec<_> =
        entries["entries"].as_array().expect("a list").iter().map(|it| it["key"].to_string()).collect();
    names.sort();
    assert_eq!(names.len(), 3, "{names:?}");
    service.get("/cache/stats/cart:events").await.problem(404, "not-found");
}

#[tokio::test]
async fn metrics_cover_reads_of_both_caches_the_relay_and_events() {
    let stores = Stores::start().await;
    let fake = Fake::start(1).await;
    let service = stores.cart(&fake).await;
    let cart = CartOf::at(&service).await;
    cart.put(1, 1).await.expect(201);
    stores.until_announced().await;
    let seq = fake.announces(&stores.redis, "product.updated", 1, 1).await;
    stores.until_carried_out(seq).await;
    for _ in 0..3 {
        cart.view().await.expect(200);
    }
    assert!(service.metric("cache_reads_total", "lane=\"view\"").await >= 3.0);
    assert!(service.metric("cache_reads_total", "lane=\"product\"").await >= 1.0);
    assert!(service.metric("relay_events_total", "stream=\"cart:events\"").await >= 1.0);
    assert!(service.metric("events_applied_total", "stream=\"product:events\"").await >= 1.0);
}

#[tokio::test]
async fn head_is_answered_like_get_on_every_route() {
    let stores = Stores::start().await;
    let fake = Fake::start(1).await;
    let service = stores.cart(&fake).await;
    let cart = CartOf::at(&service).await;
    cart.put(1, 1).await.expect(201);
    cart.view().await.expect(200);
    assert_head_as_get(&service, &[("id", &cart.id.to_string()), ("key", "cart:product:1")]).await;
}

#[tokio::test]
async fn openapi_document_holds_for_every_route() {
    let stores = Stores::start().await;
    let fake = Fake::start(1).await;
    let service = stores.cart(&fake).await;
    let cart = CartOf::at(&service).await;
    let values = [("id", cart.id.to_string()), ("product_id", "1".to_owned()), ("key", "cart:product:1".to_owned())];
    assert_description_holds(&service, &values.each_ref().map(|(name, value)| (*name, value.as_str()))).await;
}
