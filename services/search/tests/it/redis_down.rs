//! Redis is unavailable, and returns. More searches than may run at once: the service refuses the rest with a
//! `Retry-After`, with and without Redis.

use futures_util::future::join_all;
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
    assert_eq!(search.readiness().await["status"], "degraded");
    let pages = async || search.readiness().await["checks"]["pages"]["status"].clone();
    assert_eq!(pages().await, "ok", "no invalidation is pending yet");

    // The consumer reads the log over HTTP instead of the stream.
    shop.put(&format!("/products/{id}"), &json!({ "name": "Umber Mat" })).await;
    search.until_found("umber", &["Umber Mat"]).await;
    eventually("a pending invalidation", SOON, async || pages().await == "failing").await;

    shop.redis.restart().await.expect("it starts");
    search.cached(&[("q", "umber")]).await;
    eventually("no pending invalidation", SOON, async || pages().await == "ok").await;
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

/// Returns eight long words that no product has; each is compared with all words of the index.
fn slow(number: usize) -> String {
    (0..8).map(|word| format!("incomprehensibility{number}x{word}")).collect::<Vec<_>>().join(" ")
}

/// Starts a search that bypasses the cache, because Redis has missed an invalidation: every search goes to the index.
async fn past_the_cache(settings: &[(&str, &str)]) -> (Shop, Search) {
    let shop = Shop::with_products(2_000).await;
    let id = shop.create(&[Product { name: "Ochre Mat", ..Product::default() }]).await[0];
    // On a busy machine, a search takes longer than the default time limit of a load.
    let patient = [("LANES__PAGE__LEASE", "60s"), ("LANES__PAGE__LOAD_TIMEOUT", "50s")];
    let search = Search::with(&shop, &[patient.as_slice(), settings].concat()).await;
    shop.redis.kill().await.expect("it is killed");
    shop.put(&format!("/products/{id}"), &json!({ "name": "Umber Mat" })).await;
    eventually("a search beside the cache", SOON, async || {
        let answer = search.ask(&[("q", "umber")]).await;
        answer.status == 200 && answer.names() == ["Umber Mat"] && answer.source().contains("repair-pending")
    })
    .await;
    (shop, search)
}

#[tokio::test]
async fn equal_searches_run_as_one_while_redis_is_down() {
    let (_shop, search) = past_the_cache(&[("REDIS__COMMAND_TIMEOUT", "200ms")]).await;
    let searches = async || {
        let metrics = search.get("/metrics").await.expect(200).text();
        let count = metrics.lines().find_map(|line| line.strip_prefix("search_query_seconds_count "));
        count.map_or(0, |count| count.parse::<u64>().expect("a number"))
    };
    let before = searches().await;
    let query = slow(1);
    let parameters = [("q", query.as_str())];
    let answers = join_all((0..40).map(|_| search.ask(&parameters))).await;
    assert!(answers.iter().all(|answer| answer.status == 200));
    let searched = searches().await - before;
    assert!((1..=20).contains(&searched), "40 equal requests led to {searched} searches");
}

#[tokio::test]
async fn search_limit_holds_while_redis_is_down() {
    let settings = [("REDIS__MAX_LOADS", "1"), ("REDIS__LOAD_QUEUE", "1ms"), ("REDIS__COMMAND_TIMEOUT", "200ms")];
    let (_shop, search) = past_the_cache(&settings).await;
    let queries: Vec<String> = (0..60).map(slow).collect();
    // On a busy machine, a wait of a millisecond may be over before a permit that is free is seen.
    eventually("a search that runs while others are refused", SOON, async || {
        let answers = join_all(queries.iter().map(|q| async { search.ask(&[("q", q)]).await })).await;
        let refused: Vec<_> = answers.iter().filter(|answer| answer.status != 200).collect();
        for answer in &refused {
            answer.problem(503, "unavailable");
            assert_eq!(answer.header("retry-after"), "1");
        }
        assert!(!refused.is_empty(), "sixty searches ran at once, where one may");
        refused.len() < answers.len()
    })
    .await;
    // The permits are free again.
    eventually("a search", SOON, async || search.ask(&[("q", "umber")]).await.status == 200).await;
}
