//! Conditional requests and the headers of responses: `ETag`, `If-Match`, `If-None-Match`, `Age`, `Cache-Status`.

use reqwest::Method;
use reqwest::header::HeaderValue;
use serde_json::json;

use crate::support::{Api, STRATEGIES, Service, Stores, TestResponse, started};

async fn get_if(api: &Api, path: &str, none_match: &str) -> TestResponse {
    Service::send(api.request(Method::GET, path).header("if-none-match", none_match)).await
}

async fn put_if(api: &Api, path: &str, matches: &[u8]) -> TestResponse {
    let condition = HeaderValue::from_bytes(matches).expect("bytes that a header may have");
    Service::send(api.request(Method::PUT, path).header("if-match", condition).json(&json!({ "stock": 3 }))).await
}

fn paths() -> Vec<String> {
    STRATEGIES.iter().map(|strategy| format!("/products/{strategy}/1")).chain(["/products/1".to_owned()]).collect()
}

#[tokio::test]
async fn read_with_a_matching_if_none_match_is_304() {
    let (_stores, api) = started().await;
    for path in paths() {
        let read = api.get(&path).await.expect(200);
        let tag = read.header("etag").to_owned();
        assert!(tag.starts_with(&format!("\"{}-", read.version())), "{path}: {tag}");
        for known in [&tag, &format!("W/{tag}"), &format!("\"0\", {tag}"), &"*".to_owned()] {
            let unchanged = get_if(&api, &path, known).await.expect(304);
            assert_eq!((unchanged.header("etag"), unchanged.body.len()), (tag.as_str(), 0), "{path} {known}");
        }
        for other in ["\"0\"", "nonsense", ""] {
            assert_eq!(get_if(&api, &path, other).await.expect(200).version(), read.version());
        }
    }
}

#[tokio::test]
async fn read_of_another_representation_than_if_match_names_is_412() {
    let (_stores, api) = started().await;
    let lists = ["/products", "/products?ids=1,2", "/products/featured", "/products/by-category/1", "/categories"];
    for path in paths().into_iter().chain(lists.map(str::to_owned)) {
        let tag = api.get(&path).await.expect(200).header("etag").to_owned();
        let get =
            async |condition: &str| Service::send(api.request(Method::GET, &path).header("if-match", condition)).await;
        for wrong in ["\"0\"", &format!("W/{tag}")] {
            get(wrong).await.problem(412, "precondition-failed");
        }
        get("nonsense").await.problem(400, "malformed");
        for right in [&tag, "*", &format!("\"0\", {tag}")] {
            get(right).await.expect(200);
        }
        let both = api.request(Method::GET, &path).header("if-match", &tag).header("if-none-match", &tag);
        Service::send(both).await.expect(304);
        let head = api.request(Method::HEAD, &path).header("if-match", "\"0\"");
        assert!(Service::send(head).await.expect(412).body.is_empty(), "{path}");
    }
    // Without the condition, it would be 404 as well (RFC 9110, 13.2.1).
    Service::send(api.request(Method::GET, "/products/explicit/4711").header("if-match", "*")).await.expect(404);
}

#[tokio::test]
async fn a_write_with_the_wrong_version_changes_nothing() {
    let (stores, api) = started().await;
    for path in paths() {
        let read = api.get(&path).await.expect(200);
        let (version, tag) = (read.version(), read.header("etag").to_owned());
        let (weak, bare) = (format!("W/{tag}"), format!("\"{version}\""));
        // A comma between quotes is a part of the tag (RFC 9110, 8.8.3).
        for wrong in ["\"0\"", "\"999\", \"1000\"", &weak, &bare, "\"abc\"", "\"a,b\"", "W/\"a,b\", \"0,\""] {
            let problem = put_if(&api, &path, wrong.as_bytes()).await.problem(412, "precondition-failed");
            let detail = problem["detail"].as_str().unwrap_or_default().to_owned();
            assert!(detail.contains(&tag), "the client learns the current ETag: {problem}");
        }
        for malformed in [b"7".as_slice(), b"\"7", b"", b"\"1\" \"2\"", b"\"\xff\"", b"\"a,b", b"a,b\""] {
            put_if(&api, &path, malformed).await.problem(400, "malformed");
        }
        assert_eq!(api.get("/products/1").await.expect(200).version(), version, "{path}");
        let written =
            Service::send(api.request(Method::PUT, &path).header("if-match", &tag).json(&json!({ "stock": version })));
        let written = written.await.expect(200);
        assert_eq!(written.version(), version + 1);
        assert_eq!(written.header("etag"), api.get("/products/1").await.expect(200).header("etag"), "{path}");
        put_if(&api, &path, tag.as_bytes()).await.problem(412, "precondition-failed");
        // Updates the entries of the caches that no event reaches, for the next round.
        stores.redis(&["FLUSHALL"]).await;
    }
    let known = put_if(&api, "/products/1", b"*").await.expect(200).header("etag").to_owned();
    put_if(&api, "/products/explicit/1", format!("\"a,b\", {known}").as_bytes()).await.expect(200);
    put_if(&api, "/products/explicit/4711", b"\"1\"").await.problem(404, "not-found");
}

#[tokio::test]
async fn deletes_and_categories_honour_if_match_too() {
    let (_stores, api) = started().await;
    for path in ["/products/explicit/1", "/products/2"] {
        let delete = async |condition: &str| {
            Service::send(api.request(Method::DELETE, path).header("if-match", condition)).await
        };
        delete("\"999\"").await.problem(412, "precondition-failed");
        delete("1").await.problem(400, "malformed");
        let tag = api.get(path).await.expect(200).header("etag").to_owned();
        delete(&tag).await.expect(204);
    }
    let rename = async |condition: &str, name: &str| {
        let request = api.request(Method::PUT, "/categories/1").header("if-match", condition);
        Service::send(request.json(&json!({ "name": name }))).await
    };
    rename("\"999\"", "Renamed").await.problem(412, "precondition-failed");
    let first = rename("*", "Renamed").await.expect(200).header("etag").to_owned();
    let second = rename(&first, "Renamed again").await.expect(200);
    assert!(second.header("etag").starts_with("\"3-") && second.header("etag") != first, "{}", second.header("etag"));
    rename(&first, "Renamed once more").await.problem(412, "precondition-failed");
}

/// Of many writers that all saw the same version, exactly one may write.
#[tokio::test]
async fn if_match_lets_one_of_many_writers_through() {
    let (_stores, api) = started().await;
    for strategy in STRATEGIES {
        let path = format!("/products/{strategy}/5");
        let read = api.get("/products/5").await.expect(200);
        let version = read.version();
        let writes = (0..10).map(|stock| {
            let request = api.request(Method::PUT, &path).header("if-match", read.header("etag"));
            Service::send(request.json(&json!({ "stock": 1_000 + stock + 10 * version })))
        });
        let statuses: Vec<u16> =
            futures_util::future::join_all(writes).await.iter().map(|answer| answer.status).collect();
        assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 1, "{strategy}: {statuses:?}");
        assert_eq!(statuses.iter().filter(|status| **status == 412).count(), 9, "{strategy}: {statuses:?}");
    }
}

#[tokio::test]
async fn response_headers_state_source_age_and_duration() {
    let stores = Stores::start().await;
    let api = stores.api_with(&[("LANES__TTL__HARD_TTL", "1000s"), ("LANES__TTL__JITTER", "0")]).await;
    let miss = api.get("/products/ttl/1").await.expect(200);
    assert_eq!(miss.header("cache-status"), "product-api; fwd=miss; stored");
    let loaded: u64 = miss.header("age").parse().expect("whole seconds");
    assert!(loaded <= 600, "{loaded}");
    // Makes the entry 7.5 s older: it contains its time of storage by the clock of Redis.
    let age = "local v = redis.call('GET', KEYS[1])
               v = v:gsub('at=(%d+)', function(at) return 'at=' .. string.format('%.0f', at - 7500) end, 1)
               redis.call('SET', KEYS[1], v, 'KEEPTTL')";
    stores.redis(&["EVAL", age, "1", "product:ttl:1"]).await;
    let hit = api.get("/products/ttl/1").await.expect(200);
    let age: u64 = hit.header("age").parse().expect("whole seconds");
    // The entry is at least this old. It is older on a slow machine, but not by as much as a wrong unit would make it.
    assert!((7..=600).contains(&age), "{age}");
    // Both are rounded down, so that their sum lacks one second unless the age is a whole number of seconds.
    let ttl = hit.header("cache-status").strip_prefix("product-api; hit; ttl=").and_then(|ttl| ttl.parse::<u64>().ok());
    assert!(
        ttl == Some(1000 - age) || ttl == Some(1000 - age - 1),
        "{} at the age of {age}",
        hit.header("cache-status")
    );
    for answer in [&miss, &hit, &api.get("/products/1").await, &api.put("/products/ttl/1", &json!({})).await] {
        let took = answer.header("server-timing").strip_prefix("total;dur=").and_then(|ms| ms.parse::<f64>().ok());
        assert!(took.is_some_and(|ms| ms >= 0.0), "{answer:?}");
    }
    let truth = api.get("/products/1").await.expect(200);
    assert_eq!((truth.header("cache-status"), truth.header("age")), ("", ""), "no cache was asked");
    for (strategy, detail) in [
        ("ttl", "left"),
        ("explicit", "invalidated"),
        ("writethrough", "stored"),
        ("events", "announced"),
        ("swr", "left"),
        ("tags", "invalidated"),
        ("production", "invalidated"),
    ] {
        let written = api.put(&format!("/products/{strategy}/1"), &json!({ "stock": 1 })).await.expect(200);
        assert_eq!(written.header("cache-status"), format!("product-api; fwd=method; detail={detail}"));
    }
}

#[tokio::test]
async fn if_none_match_of_a_write_forbids_the_named_versions() {
    let (_stores, api) = started().await;
    for path in paths() {
        let tag = api.get("/products/1").await.expect(200).header("etag").to_owned();
        for forbidden in ["*", &tag] {
            let write = api.request(Method::PUT, &path).header("if-none-match", forbidden).json(&json!({ "stock": 3 }));
            Service::send(write).await.problem(412, "precondition-failed");
        }
        let write = api.request(Method::PUT, &path).header("if-none-match", "\"0\"").json(&json!({ "featured": true }));
        Service::send(write).await.expect(200);
    }
}
