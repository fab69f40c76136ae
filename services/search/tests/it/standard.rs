//! Metrics, the description of the parameters, and the end of the process.

use crate::support::{Product, Search, Shop, started};

#[tokio::test]
async fn search_reports_metrics_and_describes_its_parameters() {
    let shop = Shop::start().await;
    shop.create(&[Product { name: "Moss Lamp", ..Product::default() }]).await;
    let search = Search::of(&shop).await;
    search.cached(&[("q", "moss")]).await;
    for name in
        ["search_index_documents", "search_index_position", "search_query_seconds_count", "search_commit_seconds_count"]
    {
        assert!(search.get("/metrics").await.text().contains(name), "no {name}");
    }
    let openapi = search.get("/openapi.json").await.json();
    let parameters = openapi["paths"]["/search"]["get"]["parameters"].as_array().expect("parameters").clone();
    let names: Vec<_> = parameters.iter().filter_map(|parameter| parameter["name"].as_str()).collect();
    assert_eq!(names, ["q", "category", "min_price", "max_price", "limit", "cursor", "If-None-Match"]);
}

#[tokio::test]
async fn search_stops_cleanly_on_sigterm() {
    let (_shop, search) = started().await;
    let exit = search.process.term().await.expect("it ends");
    assert_eq!(exit.code, 0, "{}", search.process.output());
    assert!(search.process.output().contains("the search service has stopped"), "{}", search.process.output());
}
