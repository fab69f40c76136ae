//! Redis is unavailable, and returns.

use serde_json::json;
use testkit::eventually;

use crate::support::{Found, Product, SOON, Search, Shop};

#[tokio::test]
async fn searches_without_redis_are_uncached_and_see_changes() {
    let shop = Shop::start().await;
    let id = shop.create(&[Product { name: "Ochre Mat", ..Product::default() }]).await[0];
    let search = Search::of(&shop).await;
    search.until_found("ochre", &["Ochre Mat"]).await;
    shop.redis.kill().await.expect("it is killed");
    let answer = search.find("ochre").await;
    assert_eq!(answer.names(), ["Ochre Mat"]);
    assert!(answer.source().starts_with("fwd=bypass"), "{}", answer.source());
    assert_eq!(search.get("/readyz").await.expect(200).json()["status"], "degraded");

    // The consumer reads the log over HTTP instead of the stream.
    shop.put(&format!("/products/{id}"), &json!({ "name": "Umber Mat" })).await;
    search.until_found("umber", &["Umber Mat"]).await;

    shop.redis.restart().await.expect("it starts");
    search.cached(&[("q", "umber")]).await;
    assert_eq!(search.find("ochre").await.total(), 0);
    shop.put(&format!("/products/{id}"), &json!({ "name": "Sienna Mat" })).await;
    search.until_found("sienna", &["Sienna Mat"]).await;
    search.until_found("umber", &[]).await;
}

/// Redis returns with all its data, including pages that have become outdated meanwhile.
#[tokio::test]
async fn redis_that_hung_serves_no_page_that_became_outdated() {
    let shop = Shop::start().await;
    let id = shop.create(&[Product { name: "Teak Deck 0", ..Product::default() }]).await[0];
    let search = Search::with(&shop, &[("REDIS__COMMAND_TIMEOUT", "200ms")]).await;
    for round in 1..=3 {
        search.cached(&[("q", "teak")]).await;
        shop.redis.pause();
        let name = format!("Teak Deck {round}");
        shop.sql(&format!("UPDATE products SET name = '{name}' WHERE id = {id}")).await;
        search.until_found("teak", &[&name]).await;
        shop.redis.resume();
        // Checks before Redis is in use again, at that moment, and after it.
        eventually("pages to be stored again", SOON, async || {
            let answer = search.find("teak").await;
            assert_eq!(answer.names(), [name.as_str()], "{}", answer.source());
            answer.source() == "hit"
        })
        .await;
    }
}

#[tokio::test]
async fn search_starts_without_redis_and_uses_it_when_it_returns() {
    let shop = Shop::start().await;
    shop.create(&[Product { name: "Rowan Bead", ..Product::default() }]).await;
    shop.redis.stop().await.expect("it stops");
    let search = Search::of(&shop).await;
    assert_eq!(search.find("rowan").await.names(), ["Rowan Bead"]);
    search.get("/cache/entries").await.problem(503, "unavailable");
    shop.redis.restart().await.expect("it starts");
    search.cached(&[("q", "rowan")]).await;
    let id = shop.create(&[Product { name: "Rowan Staff", ..Product::default() }]).await[0];
    eventually("both", SOON, async || search.find("rowan").await.ids().contains(&id)).await;
}
