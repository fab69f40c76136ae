//! A cache between the client and this service that obeys `Cache-Control` never serves what the strategy forbids.
//!
//! `http-cache-semantics` (RFC 9111, shared cache) makes the decisions of that cache, for any point in time.

use std::time::{Duration, SystemTime};

use http_cache_semantics::{BeforeRequest, CachePolicy};
use reqwest::Method;
use serde_json::json;

use crate::support::{Api, Service, Stores, TestResponse, started};

/// A response as a shared cache stores it.
struct Kept {
    path: String,
    policy: CachePolicy,
    at: SystemTime,
    answer: TestResponse,
}

impl Kept {
    async fn get(api: &Api, path: &str) -> Self {
        let answer = api.get(path).await;
        // The time is arbitrary: nothing is compared with a real clock.
        let at = SystemTime::UNIX_EPOCH + Duration::from_secs(86_400);
        let mut response = http::Response::builder().status(answer.status).body(()).expect("a response");
        *response.headers_mut() = answer.headers.clone();
        let policy =
            CachePolicy::new_options(&request(path), &response, at, http_cache_semantics::CacheOptions::default());
        Self { path: path.to_owned(), policy, at, answer }
    }

    /// Returns whether the cache would serve it without revalidation after this time.
    fn is_served(&self, after: Duration) -> bool {
        matches!(self.policy.before_request(&request(&self.path), self.at + after), BeforeRequest::Fresh(_))
    }

    /// Sends the cache's revalidation and returns the response.
    async fn revalidated(&self, api: &Api) -> TestResponse {
        let BeforeRequest::Stale { request: parts, .. } = self.policy.before_request(&request(&self.path), self.at)
        else {
            panic!("{} is served without a question", self.path)
        };
        let asked = parts.headers.iter().fold(api.request(Method::GET, &self.path), |asked, (name, value)| {
            if name == "host" { asked } else { asked.header(name, value) }
        });
        Service::send(asked).await
    }
}

fn request(path: &str) -> http::Request<()> {
    http::Request::get(format!("http://shop{path}")).body(()).expect("a request")
}

fn seconds(answer: &TestResponse, directive: &str) -> Option<u64> {
    let control = answer.header("cache-control").split(", ");
    control.into_iter().find_map(|one| one.strip_prefix(directive)?.strip_prefix('=')?.parse().ok())
}

/// Makes an entry older: it contains its time of storage by the clock of Redis.
async fn age(stores: &Stores, key: &str, by_ms: u64) {
    let script = "local v = redis.call('GET', KEYS[1])
                  v = v:gsub('at=(%d+)', function(at) return 'at=' .. string.format('%.0f', at - ARGV[1]) end, 1)
                  redis.call('SET', KEYS[1], v, 'KEEPTTL')";
    stores.redis(&["EVAL", script, "1", key, &by_ms.to_string()]).await;
}

#[tokio::test]
async fn shared_cache_revalidates_responses_that_must_be_fresh() {
    let (stores, api) = started().await;
    let lanes = ["explicit", "writethrough", "events", "tags", "production"];
    let lanes = lanes.map(|strategy| format!("/products/{strategy}/1"));
    let others = ["/products/1", "/products?ids=1", "/products/by-category/1", "/products/featured", "/categories"];
    stores.sql("UPDATE products SET category_id = 1, featured = true WHERE id = 1").await;
    stores.until_published().await;
    for path in lanes.into_iter().chain(others.map(str::to_owned)) {
        for _ in 0..2 {
            let kept = Kept::get(&api, &path).await;
            assert_eq!(kept.answer.expect(200).header("cache-control"), "no-cache", "{path}");
        }
        let kept = Kept::get(&api, &path).await;
        assert!(kept.policy.is_storable() && !kept.is_served(Duration::ZERO), "{path}");
        let unchanged = kept.revalidated(&api).await.expect(304);
        assert_eq!(unchanged.header("cache-control"), "no-cache", "{path}: a 304 says the same as the 200");

        api.put("/categories/1", &json!({ "name": format!("Name for {path}").replace('/', " ") })).await.expect(200);
        let now = kept.revalidated(&api).await.expect(200);
        assert!(now.text().contains("Name for"), "{path}");
    }
}

#[tokio::test]
async fn shared_cache_keeps_a_ttl_entry_no_longer_than_its_ttl() {
    let stores = Stores::start().await;
    let api = stores.api_with(&[("LANES__TTL__HARD_TTL", "1000s"), ("LANES__TTL__JITTER", "0")]).await;
    let stored = Kept::get(&api, "/products/ttl/1").await;
    assert!(stored.is_served(Duration::from_secs(900)) && !stored.is_served(Duration::from_secs(1000)));
    for aged in [100_000, 500_000, 300_000] {
        age(&stores, "product:ttl:1", aged).await;
        let kept = Kept::get(&api, "/products/ttl/1").await;
        assert_eq!(kept.answer.source(), "hit");
        let granted = seconds(&kept.answer, "max-age").expect("the strategy allows some");
        let left = kept.answer.header("cache-status").rsplit_once("ttl=").expect("a hit").1.parse().expect("seconds");
        assert!((left - 1..=left).contains(&granted), "{granted} s of {left} s");
        assert!(!kept.is_served(Duration::from_secs(left)), "{left} s");
    }
}

#[tokio::test]
async fn shared_cache_keeps_an_swr_entry_no_longer_than_its_hard_ttl() {
    let stores = Stores::start().await;
    let settings = [("LANES__SWR__SOFT_TTL", "500s"), ("LANES__SWR__HARD_TTL", "1000s"), ("LANES__SWR__JITTER", "0")];
    let api = stores.api_with(&settings).await;
    let fresh = api.get("/products/swr/1").await.expect(200);
    let granted = seconds(&fresh, "max-age").expect("the strategy allows some");
    // The load itself has taken part of the soft TTL.
    assert!((400..500).contains(&granted), "{granted} s of 500 s");
    assert_eq!(seconds(&fresh, "stale-while-revalidate"), Some(500));
    age(&stores, "product:swr:1", 700_000).await;
    // The entry is read only once, so that no read refreshes it.
    let kept = Kept::get(&api, "/products/swr/1").await;
    assert_eq!(kept.answer.source(), "stale");
    let beyond = seconds(&kept.answer, "stale-while-revalidate").expect("the strategy allows some");
    assert_eq!(seconds(&kept.answer, "max-age"), Some(0));
    assert!((200..300).contains(&beyond), "{beyond} s of 300 s");
    assert!(!kept.is_served(Duration::from_secs(1)));
}

#[tokio::test]
async fn a_shared_cache_stores_neither_writes_nor_absences() {
    let (_stores, api) = started().await;
    let created = json!({ "name": "New", "price_cents": 1, "category_id": 1 });
    for answer in [
        api.post("/products", &created).await.expect(201),
        api.put("/products/ttl/1", &json!({ "stock": 1 })).await.expect(200),
        api.get("/products/ttl/4711").await,
        api.get("/products/by-category/4711").await,
        api.delete("/products/explicit/1").await.expect(204),
    ] {
        assert_eq!(answer.header("cache-control"), "no-store", "{answer:?}");
    }
}
