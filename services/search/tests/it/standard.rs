//! The routes and the behaviour that every service has.

use std::process::Command;

use testkit::http::{assert_description_holds, assert_head_as_get};

use crate::support::{Product, Search, Shop};

#[tokio::test]
async fn search_has_the_routes_of_every_service() {
    let shop = Shop::start().await;
    shop.create(&[Product { name: "Moss Lamp", ..Product::default() }]).await;
    let search = Search::of(&shop).await;
    search.cached(&[("q", "moss")]).await;
    for path in ["/livez", "/readyz", "/metrics", "/openapi.json", "/docs/", "/cache/entries"] {
        search.get(path).await.expect(200);
    }
    for name in [
        "search_index_documents",
        "search_index_position",
        "search_query_seconds_count",
        "search_commit_seconds_count",
        "cache_reads_total",
        "http_request_duration_seconds_count",
    ] {
        assert!(search.get("/metrics").await.text().contains(name), "no {name}");
    }
    let openapi = search.get("/openapi.json").await.json();
    let parameters = openapi["paths"]["/search"]["get"]["parameters"].as_array().expect("parameters").clone();
    let names: Vec<_> = parameters.iter().filter_map(|parameter| parameter["name"].as_str()).collect();
    assert_eq!(names, ["q", "category", "min_price", "max_price", "limit", "cursor", "If-None-Match"]);
    search.get("/cache/stats/product:ttl:1").await.problem(400, "malformed");
}

#[tokio::test]
async fn search_stops_cleanly_on_sigterm() {
    let shop = Shop::start().await;
    let search = Search::of(&shop).await;
    let exit = search.process.term().await.expect("it ends");
    assert_eq!(exit.code, 0, "{}", search.process.output());
    assert!(search.process.output().contains("the search service has stopped"), "{}", search.process.output());
}

#[test]
fn search_refuses_a_wrong_setting_by_name() {
    for (name, value) in [("INDEX__MEMORY", "1"), ("INDEX__PAHT", "x"), ("REDIS__URL", "http://x")] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_search"));
        command.env_remove("CONFIG_FILE").env("HTTP__PORT", "0");
        let refused = command.env(name, value).output().expect("it runs");
        let words = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(!refused.status.success() && words.contains(name), "{name}: {words}");
    }
}

#[tokio::test]
async fn head_is_answered_like_get_on_every_route() {
    let shop = Shop::start().await;
    shop.create(&[Product { name: "Moss Lamp", ..Product::default() }]).await;
    let search = Search::of(&shop).await;
    search.cached(&[("q", "moss")]).await;
    let entries = search.get("/cache/entries").await.expect(200).json();
    let key = entries["entries"][0]["key"].as_str().expect("a page is cached").to_owned();
    assert_head_as_get(&search, &[("key", &key), ("/search", "?q=moss")]).await;
}

#[tokio::test]
async fn openapi_description_holds_for_every_route() {
    let shop = Shop::start().await;
    let search = Search::of(&shop).await;
    assert_description_holds(&search, &[("key", "search:page:1")]).await;
}
