//! The inspection of the cache, and metrics.

use serde_json::json;

use crate::support::{CartOf, started};

#[tokio::test]
async fn cache_entries_can_be_inspected_and_exclude_streams() {
    let (stores, _fake, service) = started(2).await;
    let cart = CartOf::with(&service, &[1, 2]).await;
    stores.until_published().await;
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
    let (stores, fake, service) = started(1).await;
    let cart = CartOf::with(&service, &[1]).await;
    stores.until_published().await;
    let seq = fake.announces(&stores.redis, "product.updated", 1, 1).await;
    stores.until_applied("product:events", seq).await;
    for _ in 0..3 {
        cart.view().await.expect(200);
    }
    assert!(service.metric("cache_reads_total", "lane=\"view\"").await >= 3.0);
    assert!(service.metric("cache_reads_total", "lane=\"product\"").await >= 1.0);
    assert!(service.metric("relay_events_total", "stream=\"cart:events\"").await >= 1.0);
    assert!(service.metric("events_applied_total", "stream=\"product:events\"").await >= 1.0);
}
