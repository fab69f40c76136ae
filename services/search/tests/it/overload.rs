//! More searches than may run at once: the rest is refused, and told when to try again, with Redis or without it.

use futures_util::future::join_all;
use serde_json::json;
use testkit::eventually;

use crate::support::{Found, Product, SOON, Search, Shop};

/// Eight long words that no product has, each to be compared with all words that there are.
fn slow(number: usize) -> String {
    (0..8).map(|word| format!("incomprehensibility{number}x{word}")).collect::<Vec<_>>().join(" ")
}

/// Redis has missed an invalidation, so that no page may come from the cache; every search goes to the index.
#[tokio::test]
async fn while_redis_is_down_no_more_searches_run_at_once_than_with_it() {
    let shop = Shop::with_products(2_000).await;
    let id = shop.create(&[Product { name: "Ochre Mat", ..Product::default() }]).await[0];
    let settings = [("REDIS__MAX_LOADS", "1"), ("REDIS__LOAD_QUEUE", "1ms"), ("REDIS__COMMAND_TIMEOUT", "200ms")];
    let search = Search::with(&shop, &settings).await;
    shop.redis.kill().await.expect("it is killed");
    shop.put(&format!("/products/{id}"), &json!({ "name": "Umber Mat" })).await;
    eventually("a search beside the cache", SOON, async || {
        let answer = search.ask(&[("q", "umber")]).await;
        answer.status == 200 && answer.names() == ["Umber Mat"] && answer.source().contains("repair-pending")
    })
    .await;

    let queries: Vec<String> = (0..60).map(slow).collect();
    let answers = join_all(queries.iter().map(|q| async { search.ask(&[("q", q)]).await })).await;
    let refused: Vec<_> = answers.iter().filter(|answer| answer.status != 200).collect();
    assert!(!refused.is_empty(), "sixty searches ran at once, where one may");
    assert!(refused.len() < answers.len(), "none ran");
    for answer in refused {
        answer.problem(503, "unavailable");
        assert_eq!(answer.header("retry-after"), "1");
    }
    // The places are free again.
    eventually("a search", SOON, async || search.ask(&[("q", "umber")]).await.status == 200).await;
}
