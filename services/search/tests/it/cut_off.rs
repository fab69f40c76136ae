//! When the stream cannot be read, the search reads the product API's log, and is stale when the log is unavailable
//! too.

use serde_json::{Value, json};
use testkit::eventually;

use crate::support::{Product, SOON, Search, Shop};

async fn events(search: &Search) -> Value {
    search.get("/readyz").await.expect(200).json()["checks"]["events"].clone()
}

async fn is_stale(search: &Search) -> bool {
    search.find("!").await.json()["index"]["stale"] == true
}

#[tokio::test]
async fn search_without_the_stream_reads_the_log_and_is_stale_without_both() {
    let mut shop = Shop::start().await;
    let ids = shop.create(&[Product { name: "Alpha lamp", ..Product::default() }]).await;
    let search = Search::with(&shop, &[("EVENTS__STALE_AFTER", "3s")]).await;
    search.until_found("lamp", &["Alpha lamp"]).await;
    eventually("the search to be current", SOON, async || {
        !is_stale(&search).await && events(&search).await["status"] == "ok"
    })
    .await;

    shop.redis.revoke_stream_access("search").await.expect("the rights are taken");
    eventually("the events to fail", SOON, async || {
        let events = events(&search).await;
        let names = events["detail"].as_str().is_some_and(|detail| detail.contains("product:events"));
        events["status"] == "failing" && names
    })
    .await;
    assert_eq!(search.get("/readyz").await.expect(200).json()["status"], "degraded");
    shop.put(&format!("/products/{}", ids[0]), &json!({ "name": "Beta lamp" })).await;
    search.until_found("lamp", &["Beta lamp"]).await;
    eventually("the log to be enough", SOON, async || !is_stale(&search).await).await;

    shop.stop_api().await;
    eventually("the search to be stale", SOON, async || is_stale(&search).await).await;
    let page = search.find("lamp").await;
    assert!(page.header("cache-status").contains("index-stale"), "{page:?}");

    shop.redis.restore_users().await.expect("the rights are given back");
    shop.start_api().await;
    eventually("the search to be current again", SOON, async || {
        !is_stale(&search).await && events(&search).await["status"] == "ok"
    })
    .await;
    search.until_found("lamp", &["Beta lamp"]).await;
}
