//! Strategy 5: stale entries are served at once and refreshed in the background.

use std::sync::Arc;

use serde_json::json;
use testkit::eventually;
use tokio::task::JoinSet;

use crate::support::{Api, SOON, Service, Stores};

const SETTINGS: [(&str, &str); 2] = [("LANES__SWR__SOFT_TTL", "300ms"), ("LANES__SWR__LEASE", "10s")];

/// The database is held up meanwhile, so no reader can have waited for it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_of_a_stale_entry_do_not_wait_and_cause_one_refresh() {
    let _turn = crate::support::turn().await;
    let stores = Stores::start().await;
    // The refresh waits for the lock until all readers have their answers.
    let settings = [("LANES__SWR__SOFT_TTL", "300ms"), ("POSTGRES__STATEMENT_TIMEOUT", "40s")];
    let api = Arc::new(stores.api_with(&settings).await);
    let before = api.get("/products/swr/1").await.expect(200).version();
    let written = api.put("/products/swr/1", &json!({ "stock": 1 })).await.expect(200);
    assert_eq!(written.source(), "fwd=method; detail=left");
    stores.until_stale(&api, "product:swr:1").await;
    let loads = Api::loads(&[&api], "swr").await;

    let lock = stores.lock_products().await;
    let mut readers = JoinSet::new();
    for _ in 0..200 {
        let api = Arc::clone(&api);
        readers.spawn(async move { api.get("/products/swr/1").await.expect(200) });
    }
    for read in readers.join_all().await {
        assert_eq!((read.version(), read.source()), (before, "stale"));
    }
    stores.until_waiting(1).await;
    lock.release().await;

    eventually("the refresh", SOON, async || api.cached_version("product:swr:1").await == Some(before + 1)).await;
    assert_eq!(Api::loads(&[&api], "swr").await - loads, 1.0);
}

#[tokio::test]
async fn read_after_the_hard_ttl_waits_and_is_fresh() {
    let stores = Stores::start().await;
    let short =
        [("LANES__SWR__SOFT_TTL", "100ms"), ("LANES__SWR__HARD_TTL", "200ms"), ("LANES__SWR__NEGATIVE_TTL", "100ms")];
    let api = stores.api_with(&short).await;
    api.get("/products/swr/1").await.expect(200);
    let written = api.put("/products/swr/1", &json!({ "stock": 1 })).await.expect(200).version();
    eventually("the end of the entry", SOON, async || !stores.has_entry("product:swr:1").await).await;
    let read = api.get("/products/swr/1").await.expect(200);
    assert_eq!((read.version(), read.source()), (written, "fwd=miss; stored"));
}

#[tokio::test]
async fn featured_list_never_waits_while_an_entry_exists() {
    let stores = Stores::start().await;
    let api = stores.api_with(&SETTINGS).await;
    // No process learns of the following change: a published change, or one made through the API, removes the list at
    // once.
    stores.silence().await;
    let first = api.get("/products/featured").await.expect(200);
    let listed = first.json()["products"].as_array().expect("a list").clone();
    assert!(!listed.is_empty() && listed.iter().all(|product| product["featured"] == true));
    assert!(first.header("etag").len() > 2, "a list has no version, but it can be told from another one");

    let id = &listed[0]["id"];
    stores.sql(&format!("UPDATE products SET featured = false WHERE id = {id}")).await;
    stores.until_stale(&api, "product:featured:list").await;
    let lock = stores.lock_products().await;
    let stale = api.get("/products/featured").await.expect(200);
    assert_eq!((stale.source(), &stale.body), ("stale", &first.body));
    assert_eq!(stale.header("etag"), first.header("etag"));
    let again = api.request(reqwest::Method::GET, "/products/featured").header("if-none-match", first.header("etag"));
    assert_eq!(Service::send(again).await.expect(304).body.len(), 0);
    lock.release().await;
    eventually("the new list", SOON, async || {
        let list = api.get("/products/featured").await.expect(200);
        let known = list.json()["products"].as_array().expect("a list").iter().any(|product| product["id"] == *id);
        if !known {
            assert_ne!(list.header("etag"), first.header("etag"));
        }
        !known
    })
    .await;
}

/// A refresh that fails harms no reader: the entry stays, up to its hard TTL.
#[tokio::test]
async fn a_stale_entry_outlives_a_database_that_fails() {
    let stores = Stores::start().await;
    let api = stores.api_with(&[("LANES__SWR__SOFT_TTL", "100ms"), ("POSTGRES__STATEMENT_TIMEOUT", "100ms")]).await;
    // On a busy machine, a load may take longer than the short statement timeout.
    let loaded = async || Some(api.get("/products/swr/1").await).filter(|read| read.status == 200);
    let before = eventually("the first load", SOON, loaded).await.version();
    stores.until_stale(&api, "product:swr:1").await;
    let lock = stores.lock_products().await;
    let failed = async || api.metrics().await.sum("cache_load_errors_total", &[("lane", "swr")]) > 0.0;
    eventually("a refresh that fails", SOON, async || {
        let read = api.get("/products/swr/1").await.expect(200);
        // The refresh of an earlier read may have ended only now.
        assert!(read.version() == before && ["stale", "hit"].contains(&read.source()), "{}", read.source());
        failed().await
    })
    .await;
    let read = api.get("/products/swr/1").await.expect(200);
    assert_eq!((read.version(), read.source()), (before, "stale"));
    lock.release().await;
}
