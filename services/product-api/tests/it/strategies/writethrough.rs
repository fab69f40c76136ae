//! Strategy 3: the writer stores the new value.

use serde_json::json;
use tokio::task::JoinSet;

use crate::support::{Stores, started};

#[tokio::test]
async fn the_read_after_a_write_is_a_hit_with_the_new_value() {
    let (_stores, api) = started().await;
    for known in [false, true] {
        let written = api.put("/products/writethrough/1", &json!({ "stock": i32::from(known) })).await.expect(200);
        assert_eq!(written.source(), "fwd=method; detail=stored");
        let read = api.get("/products/writethrough/1").await.expect(200);
        assert_eq!((read.version(), read.source()), (written.version(), "hit"));
        assert_eq!(read.json(), written.json(), "the cache has what the transaction wrote");
    }
}

/// Of two writers, the value of the one that commits later must stay.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_writers_leave_the_last_version_behind() {
    let stores = Stores::start().await;
    let api = std::sync::Arc::new(stores.api().await);
    for _ in 0..5 {
        let mut writers = JoinSet::new();
        for stock in 0..8 {
            let api = std::sync::Arc::clone(&api);
            writers.spawn(
                async move { api.put("/products/writethrough/1", &json!({ "stock": stock })).await.expect(200) },
            );
        }
        let written = writers.join_all().await;
        let last = written.iter().max_by_key(|answer| answer.version()).expect("there are eight");
        let read = api.get("/products/writethrough/1").await.expect(200);
        assert_eq!(read.json(), last.json(), "{}", read.source());
    }
}

#[tokio::test]
async fn write_with_a_failed_precondition_does_not_touch_the_entry() {
    let (_stores, api) = started().await;
    api.get("/products/writethrough/1").await.expect(200);
    let request = api.request(reqwest::Method::PUT, "/products/writethrough/1").json(&json!({ "stock": 1 }));
    crate::support::Service::send(request.header("if-match", "\"999\"")).await.problem(412, "precondition-failed");
    assert_eq!(api.get("/products/writethrough/1").await.expect(200).source(), "hit");
}

/// The category's name comes from another row: the row lock does not cover it, but its tag does.
#[tokio::test]
async fn renamed_category_is_not_served_from_a_written_through_entry() {
    let (_stores, api) = started().await;
    let written = api.put("/products/writethrough/1", &json!({ "stock": 1 })).await.expect(200).json();
    let category = written["category"]["id"].as_i64().expect("an id");
    api.put(&format!("/categories/{category}"), &json!({ "name": "Renamed" })).await.expect(200);
    let read = api.get("/products/writethrough/1").await.expect(200);
    assert_eq!(read.json()["category"]["name"], "Renamed", "{}", read.source());
}
