//! The shop's database is restored from an older backup while Redis keeps its data: event numbers are assigned again,
//! to other events.

use serde_json::json;
use testkit::eventually;

use crate::support::{Found, Product, SOON, Search, Shop};

/// Removes the last `count` events while the product API is down, and changes the names of the first `changed`
/// products, which assigns the numbers again.
async fn restore(shop: &mut Shop, count: i64, changed: i64) {
    shop.stop_api().await;
    shop.sql(&format!("DELETE FROM outbox WHERE seq > (SELECT seq - {count} FROM outbox_head)")).await;
    shop.sql(&format!("UPDATE outbox_head SET seq = seq - {count}")).await;
    shop.sql(&format!("UPDATE products SET name = 'Heliotrope ' || id WHERE id <= {changed}")).await;
    shop.start_api().await;
}

/// Waits until a page is a hit, so that pages are known to be stored again.
async fn until_cached(search: &Search, q: &str) {
    eventually(&format!("a page of {q:?} to be cached"), SOON, async || {
        search.find(q).await.source().starts_with("hit")
    })
    .await;
}

/// Fewer changes than were lost, as many, and more.
#[tokio::test]
async fn search_finds_what_a_restored_catalogue_holds_and_caches_again() {
    for changed in [4, 5, 6] {
        let mut shop = Shop::with_products(50).await;
        let search = Search::of(&shop).await;
        search.until_current(&shop).await;
        until_cached(&search, "").await;
        restore(&mut shop, 5, changed).await;
        eventually("the changes", SOON, async || search.find("heliotrope").await.total() == changed as u64).await;
        search.until_current(&shop).await;
        until_cached(&search, "heliotrope").await;
        until_cached(&search, "").await;
        eventually("a current index", SOON, async || search.find("!").await.json()["index"]["stale"] == false).await;
        // The search follows further changes.
        shop.put("/products/1", &json!({ "name": "Viridian Vase" })).await;
        search.until_found("viridian", &["Viridian Vase"]).await;
        until_cached(&search, "viridian").await;
        assert!(search.metric("events_resyncs_total", "why=\"other-history\"").await >= 1.0, "it noticed");
    }
}

#[tokio::test]
async fn search_that_was_down_during_the_restore_rebuilds_its_index() {
    for is_redis_empty in [false, true] {
        let mut shop = Shop::with_products(50).await;
        let search = Search::of(&shop).await;
        search.until_current(&shop).await;
        let directory = search.kill().await;
        restore(&mut shop, 5, 6).await;
        eventually("the relay", SOON, async || {
            shop.sql("SELECT bool_and(done_at IS NOT NULL) FROM outbox").await == "t"
        })
        .await;
        if is_redis_empty {
            shop.redis(&["FLUSHALL"]).await;
        }
        let search = Search::start(&shop, directory, &[]).await;
        search.ready().await;
        eventually("the changes", SOON, async || {
            let found = search.ask(&[("q", "heliotrope")]).await;
            found.status == 200 && found.total() == 6
        })
        .await;
        until_cached(&search, "heliotrope").await;
    }
}

/// The watermarks in Redis belong to the lost history, and are higher than all new event numbers.
#[tokio::test]
async fn search_caches_again_where_the_restored_log_is_far_below_the_old_one() {
    let mut shop = Shop::with_products(50).await;
    let search = Search::of(&shop).await;
    for round in 0..40 {
        shop.sql(&format!("UPDATE products SET name = 'Amaranth {round}' WHERE id = 1")).await;
    }
    search.until_current(&shop).await;
    restore(&mut shop, 40, 1).await;
    search.until_found("heliotrope", &["Heliotrope 1"]).await;
    until_cached(&search, "heliotrope").await;
    search.until_found("amaranth", &[]).await;
    until_cached(&search, "amaranth").await;
}

/// The other replica still has an index of the lost history. No page from it may be stored.
#[tokio::test]
async fn two_replicas_agree_after_the_restore() {
    let mut shop = Shop::with_products(50).await;
    let (one, two) = tokio::join!(Search::of(&shop), Search::of(&shop));
    one.until_current(&shop).await;
    two.until_current(&shop).await;
    restore(&mut shop, 5, 6).await;
    for search in [&one, &two] {
        eventually("the changes", SOON, async || search.find("heliotrope").await.total() == 6).await;
    }
    shop.create(&[Product { name: "Celadon Cup", ..Product::default() }]).await;
    for search in [&one, &two] {
        search.until_found("celadon", &["Celadon Cup"]).await;
        until_cached(search, "heliotrope").await;
    }
}
