//! Several replicas with their own indexes and one cache: a lagging replica must not store a page that others know to
//! be outdated.

use serde_json::json;
use testkit::eventually;

use crate::support::{Found, Product, SOON, Search, Shop};

/// The connection of the lagging replica to the product API is blocked, so it receives the event but cannot index it.
/// It keeps searching.
#[tokio::test]
async fn lagging_replica_serves_its_index_and_stores_no_outdated_page() {
    let shop = Shop::start().await;
    let ids = shop.create(&[Product { name: "Basalt Bookend", ..Product::default() }]).await;
    let (proxy, url) = shop.proxy().await;
    // It would say so in `Cache-Status` when it has lagged for 5 s.
    let lagging = [("PRODUCT_API__URL", url.as_str()), ("EVENTS__STALE_AFTER", "10m")];
    let (ahead, behind) = tokio::join!(Search::of(&shop), Search::with(&shop, &lagging));
    for (search, other) in [(&ahead, "flint"), (&behind, "shale")] {
        // Each replica caches its own pages before the indexes differ.
        search.cached(&[("q", other)]).await;
        search.until_found("basalt", &["Basalt Bookend"]).await;
        assert_eq!(search.find("granite").await.total(), 0);
    }
    proxy.hold();
    let position = behind.position().await;
    let heard = behind.metric("events_applied_total", "").await;
    shop.put(&format!("/products/{}", ids[0]), &json!({ "name": "Granite Bookend" })).await;
    ahead.until_current(&shop).await;
    // The first step of the handler invalidates pages that show the product. It must be done before the next
    // assertions.
    eventually("it to hear of it", SOON, async || behind.metric("events_applied_total", "").await > heard).await;
    assert_eq!(behind.position().await, position, "the test is about nothing");

    // The lagging replica is the first to read each page: one that showed the product, one that the product enters, and
    // two that are both.
    let mut answered = Vec::new();
    for q in ["basalt", "granite", "bookend", ""] {
        for _ in 0..3 {
            let old = behind.find(q).await;
            assert_eq!(old.source(), "fwd=miss; detail=not-stored", "{q}");
            answered.push(old.names());
        }
        let new = ahead.find(q).await;
        assert!(new.source().starts_with("fwd=miss; stored"), "{q}: {}", new.source());
        let expected: &[&str] = if q == "basalt" { &[] } else { &["Granite Bookend"] };
        assert_eq!(new.names(), expected, "{q}");
        // The page that the other replica has stored is newer than the lagging index.
        let shared = behind.find(q).await;
        assert_eq!((shared.source(), shared.names()), ("hit", new.names()), "{q}");
    }
    assert!(answered.iter().any(|names| names == &["Basalt Bookend"]), "{answered:?}");

    proxy.release();
    behind.until_current(&shop).await;
    eventually("no more of it", SOON, async || behind.find("basalts").await.total() == 0).await;
    assert_eq!(behind.find("granit").await.names(), ["Granite Bookend"]);
}

/// A replica is paused and resumed repeatedly, at any point of its work.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn paused_replica_stores_no_outdated_page_when_it_resumes() {
    let shop = Shop::start().await;
    let id = shop.create(&[Product { name: "Jasper Dial 0", ..Product::default() }]).await[0];
    let (ahead, behind) = tokio::join!(Search::of(&shop), Search::of(&shop));
    for round in 1..=12 {
        behind.process.pause();
        let name = format!("Jasper Dial {round}");
        shop.put(&format!("/products/{id}"), &json!({ "name": name })).await;
        ahead.until_current(&shop).await;
        behind.process.resume();
        // The resumed replica may respond from its old index for a moment. A page that it stores would be visible to
        // the other replica.
        for _ in 0..10 {
            let (_, seen) = tokio::join!(behind.find("jasper"), ahead.find("jasper"));
            assert_eq!(seen.names(), [name.as_str()], "round {round}: {}", seen.source());
        }
        behind.until_current(&shop).await;
        assert_eq!(behind.find("jasper").await.names(), [name.as_str()]);
    }
}

/// FLUSHALL removes the shared watermarks. A floor replaces them before any replica stores a page.
#[tokio::test]
async fn lost_watermarks_are_replaced_by_a_floor_above_all_of_them() {
    let shop = Shop::start().await;
    let ids = shop.create(&[Product { name: "Tin Whistle", ..Product::default() }]).await;
    let (proxy, url) = shop.proxy().await;
    // It would say so in `Cache-Status` when it has lagged for 5 s.
    let lagging = [("PRODUCT_API__URL", url.as_str()), ("EVENTS__STALE_AFTER", "10m")];
    let (ahead, behind) = tokio::join!(Search::of(&shop), Search::with(&shop, &lagging));
    behind.until_current(&shop).await;
    proxy.hold();
    shop.put(&format!("/products/{}", ids[0]), &json!({ "name": "Brass Whistle" })).await;
    ahead.until_current(&shop).await;

    shop.redis(&["FLUSHALL"]).await;
    // The lagging replica finds no watermark that refuses its old page, and no floor that allows it: before a floor is
    // set, while it is claimed (a negative number), and afterwards.
    let floor = eventually("a floor", SOON, async || {
        let floor = shop.redis(&["ZSCORE", "search:~horizon", "*"]).await.parse().unwrap_or(-1.0);
        let old = behind.find("whistle").await;
        assert_eq!(old.source(), "fwd=miss; detail=not-stored");
        Some(floor).filter(|floor| *floor >= 0.0)
    })
    .await;
    assert!(floor >= 2.0, "{floor}");
    ahead.cached(&[("q", "whistle")]).await;
    assert_eq!(behind.find("whistle").await.names(), ["Brass Whistle"]);
}
