//! `/cache/stats/{key}` and `/cache/entries`: the inspection of the service's own keys in Redis.

use std::collections::BTreeSet;

use serde_json::json;

use crate::support::{Stores, started};

#[tokio::test]
async fn an_entry_shows_its_state_age_lifetimes_version_tags_and_size() {
    let (_stores, api) = started().await;
    let product = api.get("/products/production/1").await.expect(200);
    let stats = api.get("/cache/stats/product:production:1").await.expect(200).json();
    assert_eq!((&stats["key"], &stats["state"]), (&json!("product:production:1"), &json!("fresh")));
    assert_eq!(stats["version"], product.version());
    assert_eq!(stats["tags"], json!([format!("category:{}", product.json()["category"]["id"]), "product:1"]));
    let number = |name: &str| stats[name].as_i64().unwrap_or_else(|| panic!("no {name} in {stats}"));
    assert!((0..10_000).contains(&number("age_ms")), "{stats}");
    assert!((27_000..=30_000).contains(&number("soft_ttl_ms")), "{stats}");
    assert!((540_000..=600_000).contains(&number("hard_ttl_ms")), "{stats}");
    assert!(number("ttl_ms") <= number("soft_ttl_ms") && number("ttl_ms") > 0, "{stats}");
    // It is kept for another hour, in case that a load fails.
    let kept = number("hard_ttl_ms") + 3_600_000;
    assert!(number("expires_in_ms") <= kept && number("expires_in_ms") > kept - 60_000, "{stats}");
    assert!(number("size_bytes") > product.body.len() as i64, "{stats}");
}

#[tokio::test]
async fn entry_details_distinguish_absent_leased_stale_and_unreadable() {
    let stores = Stores::start().await;
    let api = stores.api_with(&[("LANES__SWR__SOFT_TTL", "50ms"), ("LANES__SWR__NEGATIVE_TTL", "50ms")]).await;
    let state = async |key: &str| api.get(&format!("/cache/stats/{key}")).await.expect(200).json()["state"].clone();
    api.get("/products/explicit/4711").await.problem(404, "not-found");
    assert_eq!(state("product:explicit:4711").await, "absent");
    stores.redis(&["SET", "product:explicit:1", &format!("L{}", "0".repeat(32)), "PX", "60000"]).await;
    assert_eq!(state("product:explicit:1").await, "leased");
    stores.redis(&["SET", "product:explicit:2", "hello", "PX", "60000"]).await;
    assert_eq!(state("product:explicit:2").await, "unreadable");
    assert_eq!(api.get("/products/explicit/2").await.expect(200).source(), "fwd=miss; stored", "and it is replaced");
    api.get("/products/swr/1").await.expect(200);
    stores.until_stale(&api, "product:swr:1").await;
}

#[tokio::test]
async fn foreign_and_invalid_keys_are_refused() {
    let (stores, api) = started().await;
    stores.redis(&["SET", "cart:1", "secret"]).await;
    stores.redis(&["SET", "product", "secret"]).await;
    api.get("/products/tags/1").await.expect(200);
    let long = format!("product:ttl:{}", "9".repeat(10 * 1024));
    for key in [
        "", "cart:1", "product", "product:", "product", "*", "product:ttl:1%00", "product:ttl:1%0A",
        "product:ttl:1%0D%0AFLUSHALL", "product:ttl:%1B[31m", "product:ttl:1%20", "%00", "%0A", "product:~fence",
        "product:~tag:category:1", "~fence", &long, "PRODUCT:ttl:1", "product:ttl:%7F", "product:ttl:%C2%85",
    ] {
        let answer = api.get(&format!("/cache/stats/{key}")).await;
        answer.problem(400, "malformed");
        assert!(!answer.text().contains("secret"));
    }
    for key in ["product:ttl:1", "product:nosuchlane:1", "product:a", "product:ttl:9999999", "product:events"] {
        api.get(&format!("/cache/stats/{key}")).await.problem(404, "not-found");
    }
    for odd in ["product:ttl:%FF", "product:ttl:%", "product:ttl:%2", "product:a%2Fb", "product:a/b", "product:../x"] {
        let answer = api.get(&format!("/cache/stats/{odd}")).await;
        assert!([400, 404].contains(&answer.status), "{odd}: {answer:?}");
        assert_eq!(answer.header("content-type"), "application/problem+json", "{odd}");
    }
    assert_eq!(api.get("/cache/stats/product:tags:1").await.expect(200).json()["state"], "fresh", "nothing was harmed");
}

#[tokio::test]
async fn pages_of_entries_hold_every_entry_of_the_keyspace_and_no_other_key() {
    let (stores, api) = started().await;
    stores.redis(&["MSET", "cart:1", "x", "search:1", "x", "product", "x", "productX:1", "x"]).await;
    let mut expected = BTreeSet::new();
    for id in 1..=25 {
        for strategy in ["tags", "explicit"] {
            api.get(&format!("/products/{strategy}/{id}")).await.expect(200);
            expected.insert(format!("product:{strategy}:{id}"));
        }
    }
    for limit in [1, 7, 1000] {
        let (mut seen, mut path) = (BTreeSet::new(), format!("/cache/entries?limit={limit}"));
        loop {
            let page = api.get(&path).await.expect(200).json();
            for entry in page["entries"].as_array().expect("a list") {
                assert!(entry["expires_in_ms"].as_i64().is_some_and(|left| left > 0), "every entry ends: {entry}");
                seen.insert(entry["key"].as_str().expect("a name").to_owned());
            }
            match page["next_cursor"].as_str() {
                Some(cursor) => path = format!("/cache/entries?limit={limit}&cursor={cursor}"),
                None => break,
            }
        }
        assert_eq!(seen, expected, "limit {limit}");
    }
    assert!(
        api.get("/cache/entries").await.expect(200).json()["entries"].as_array().is_some_and(|page| page.len() >= 50)
    );
}

#[tokio::test]
async fn invalid_limits_and_cursors_are_refused_by_name() {
    let (_stores, api) = started().await;
    for (query, status, field) in [
        ("limit=0", 422, "limit"),
        ("limit=1001", 422, "limit"),
        ("cursor=", 422, "cursor"),
        ("cursor=abc", 422, "cursor"),
        ("cursor=1-0", 422, "cursor"),
        ("cursor=0-x", 422, "cursor"),
        ("cursor=-1", 422, "cursor"),
        ("cursor=0-99999999999999999999999", 422, "cursor"),
        ("limit=ten", 400, "limit"),
        ("limit=-1", 400, "limit"),
        ("page=2", 400, "page"),
    ] {
        let kind = if status == 422 { "invalid-fields" } else { "malformed" };
        let problem = api.get(&format!("/cache/entries?{query}")).await.problem(status, kind);
        assert_eq!(problem["errors"][0]["field"], field, "{query}: {problem}");
    }
}
