//! Building the first index from the catalogue, page by page, with or without a product API at the start.

use serde_json::json;
use tempfile::{NamedTempFile, TempDir};
use testkit::eventually;

use crate::support::{Found, Product, SOON, Search, Shop};

#[tokio::test]
async fn first_start_indexes_the_whole_catalogue() {
    // More than one page of the catalogue.
    let shop = Shop::with_products(1_200).await;
    let search = Search::of(&shop).await;
    let all = search.find("").await;
    assert_eq!(all.total(), 1_200);
    let facets = all.json()["facets"].as_array().expect("facets").clone();
    let counts = shop.sql("SELECT category_id, count(*) FROM products GROUP BY 1 ORDER BY 2 DESC, 1").await;
    let counted: Vec<String> =
        facets.iter().map(|facet| format!("{}|{}", facet["category"]["id"], facet["count"])).collect();
    assert_eq!(counted, counts.lines().collect::<Vec<_>>());
    assert_eq!(search.metric("search_index_documents", "").await, 1_200.0);
    let output = search.process.output();
    assert!(
        output.contains("the index has the whole catalogue") && output.contains("the search service is ready"),
        "{output}"
    );
}

/// The indexer reads page after page while products are created, changed and deleted.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_during_the_index_build_are_indexed() {
    let shop = Shop::with_products(3_000).await;
    let directory = TempDir::new().expect("a directory");
    let search = Search::start(&shop, directory, &[]).await;
    let mut written = 0;
    while search.get("/readyz").await.status != 200 || written < 5 {
        written += 1;
        let id = 1 + (written * 397) % 3_000;
        shop.sql(&format!("UPDATE products SET name = 'Periwinkle {written}' WHERE id = {id}")).await;
        shop.sql(&format!("DELETE FROM products WHERE id = {}", 1 + (written * 631) % 3_000)).await;
    }
    search.until_current(&shop).await;
    let left = shop.sql("SELECT id FROM products WHERE name LIKE 'Periwinkle%' ORDER BY id").await;
    let pages = search.pages(&[("q", "periwinkle"), ("limit", "100")]).await;
    let mut found: Vec<i64> = pages.iter().flat_map(Found::ids).collect();
    found.sort_unstable();
    assert_eq!(found.iter().map(i64::to_string).collect::<Vec<_>>(), left.lines().collect::<Vec<_>>());
    assert_eq!(search.find("").await.total().to_string(), shop.sql("SELECT count(*) FROM products").await);
}

#[tokio::test]
async fn first_start_waits_for_the_product_api() {
    let mut shop = Shop::start().await;
    shop.create(&[Product { name: "Willow Basket", ..Product::default() }]).await;
    shop.stop_api().await;
    let search = Search::start(&shop, TempDir::new().expect("a directory"), &[]).await;
    search.get("/livez").await.expect(200);
    let building = search.ask(&[("q", "willow")]).await;
    building.problem(503, "unavailable");
    assert_eq!(building.header("retry-after"), "1");
    let report = search.get("/readyz").await.expect(503).json();
    assert_eq!(report["checks"]["index"]["status"], "failing", "{report}");

    shop.start_api().await;
    search.ready().await;
    search.until_found("willow", &["Willow Basket"]).await;
}

#[tokio::test]
async fn readiness_reports_the_progress_of_the_index_build() {
    let shop = Shop::with_products(1_200).await;
    let (proxy, url) = shop.proxy().await;
    proxy.hold();
    let settings = [("PRODUCT_API__URL", url.as_str())];
    let search = Search::start(&shop, TempDir::new().expect("a directory"), &settings).await;
    eventually("the reason", SOON, async || {
        let report = search.get("/readyz").await.expect(503).json();
        report["checks"]["index"]["detail"]
            .as_str()
            .is_some_and(|detail| detail.contains("the index is about to be built"))
    })
    .await;
    proxy.release();
    search.ready().await;
    assert!(search.readiness().await["checks"]["index"].get("detail").is_none());
}

/// The search keeps serving its index, and marks responses as stale.
#[tokio::test]
async fn searches_without_the_product_api_continue_and_are_marked_stale() {
    let mut shop = Shop::start().await;
    let id = shop.create(&[Product { name: "Slate Clock", ..Product::default() }]).await[0];
    let search = Search::of(&shop).await;
    // A page is cached only after the log has confirmed that the index belongs to its history.
    search.cached(&[("q", "slate")]).await;
    shop.stop_api().await;
    shop.sql(&format!("UPDATE products SET name = 'Quartz Clock' WHERE id = {id}")).await;
    let aged = eventually("the answer to say so", SOON, async || {
        let answer = search.find("slate").await;
        (answer.json()["index"]["stale"] == json!(true)).then_some(answer)
    })
    .await;
    assert_eq!(aged.names(), ["Slate Clock"]);
    eventually("a hit", SOON, async || search.find("slate").await.header("cache-status").contains("; hit")).await;
    // A busy machine delays the check of the events, and then a page is marked for a moment before the index is old.
    eventually("the readiness to say so", SOON, async || search.readiness().await["status"] == "degraded").await;

    shop.start_api().await;
    search.until_found("quartz", &["Quartz Clock"]).await;
    eventually("the answer to be current", SOON, async || {
        search.find("quartz").await.json()["index"]["stale"] == json!(false)
    })
    .await;
}

/// The catalogue's log is an operations route, which requires the token.
#[tokio::test]
async fn index_is_verified_with_the_operations_token() {
    let file = NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), "0123456789abcdef0123456789abcdef").expect("it is written");
    let token = ("OPERATIONS__TOKEN_FILE", file.path().to_str().expect("a plain path"));
    let shop = Shop::with(&[token]).await;
    shop.api.get("/events?after=0").await.problem(401, "unauthorized");
    let search = Search::with(&shop, &[token]).await;
    let is_current = async || search.find("").await.json()["index"]["stale"] == json!(false);
    eventually("a current index", SOON, is_current).await;
}
