//! The tests that every service passes.

use std::process::Command;

use reqwest::Method;
use serde_json::json;
use testkit::http::Service;
use testkit::suite::{DatabaseSubject, Subject};
use testkit::{Database, Redis, eventually};

use crate::support::{SOON, STRATEGIES, Stores};

testkit::suite!(ProductSubject, database);
testkit::suite!(ProductSubject: unusable_bodies_are_refused_by_every_route);

struct ProductSubject(Stores);

impl Subject for ProductSubject {
    const NAME: &'static str = "product-api";
    const IS_READY_AT_ONCE: bool = true;
    const OPERATIONS: &'static [&'static str] = &[
        "delete /products/explicit/{id}", "delete /products/{id}", "get /cache/entries", "get /cache/feed",
        "get /cache/near/{key}", "get /cache/stats/{key}", "get /categories", "get /events", "get /events/position",
        "get /products", "get /products/by-category/{id}", "get /products/explicit/{id}", "get /products/featured",
        "get /products/{id}", "get /products/{strategy}/{id}", "head /cache/entries", "head /cache/feed",
        "head /cache/near/{key}", "head /cache/stats/{key}", "head /categories", "head /events",
        "head /events/position", "head /products", "head /products/by-category/{id}", "head /products/explicit/{id}",
        "head /products/featured", "head /products/{id}", "head /products/{strategy}/{id}",
        "post /cache/invalidations", "post /products", "put /categories/{id}", "put /products/explicit/{id}",
        "put /products/{id}", "put /products/{strategy}/{id}",
    ];
    const OWN_OPERATIONS_ROUTES: &'static [&'static str] = &["/events?after=0", "/events/position?transaction=1"];
    const SHARED_SECTIONS: &'static [&'static str] = &["POSTGRES", "INCARNATION", "RELAY"];
    const INVALID_SETTINGS: &'static [(&'static str, &'static str, &'static str)] = &[
        ("LANES__SWR__SOFT_TTL", "2m", "hard TTL"),
        ("LANES__PRODUCTION__SOFT_TTL", "11m", "hard TTL"),
        ("LANES__TTL__HARD_TTL", "0s", ""),
        ("LANES__TTL__HARD_TTL", "soon", ""),
        ("LANES__TTL__NEGATIVE_TTL", "11s", "hard TTL"),
        ("LANES__TAGS__JITTER", "1.5", ""),
        ("LANES__TAGS__LEASE", "5m", ""),
        ("LANES__TLL__HARD_TTL", "5s", "did you mean LANES__TTL"),
        ("LANES__TTL__HARD_TLL", "5s", ""),
        ("SEED_PRODUCTS", "-1", ""),
    ];
    const HOSTILE_SEED: u64 = 1;

    async fn prepare() -> Self {
        Self(Stores::start().await)
    }

    fn command(&self, settings: &[(&str, &str)]) -> Command {
        self.0.command(settings)
    }

    async fn fill(&self, service: &Service) -> Vec<(&'static str, String)> {
        for path in ["/products", "/products/explicit/1", "/products/ttl/1"] {
            service.get(path).await.expect(200);
        }
        [("strategy", "ttl"), ("id", "1"), ("key", "product:ttl:1"), ("/events/position", "?transaction=1")]
            .map(|(name, value)| (name, value.to_owned()))
            .to_vec()
    }

    fn bodies(_: &[(&'static str, String)]) -> Vec<(Method, String, &'static str)> {
        let change = STRATEGIES.map(|strategy| (Method::PUT, format!("/products/{strategy}/1"), r#"{"stock": 1}"#));
        let new = (Method::POST, "/products".to_owned(), r#"{"name": "New", "price_cents": 1, "category_id": 1}"#);
        let category = (Method::PUT, "/categories/1".to_owned(), r#"{"name": "New"}"#);
        let plain = (Method::PUT, "/products/1".to_owned(), r#"{"stock": 1}"#);
        change.into_iter().chain([plain, new, category]).collect()
    }

    fn hostile_paths(_: &[(&'static str, String)]) -> Vec<String> {
        let paths = [
            "/products", "/products/1", "/products/ttl/1", "/products/explicit/2", "/products/writethrough/3",
            "/products/tags/4", "/products/production/5", "/products/events/6", "/products/swr/7",
            "/products/featured", "/products/by-category/1", "/categories", "/categories/1", "/events",
            "/problems/not-found", "http://x/products/1",
        ];
        paths.map(str::to_owned).to_vec()
    }

    fn database(&self) -> Option<&Database> {
        Some(&self.0.database)
    }

    fn redis(&self) -> Option<&Redis> {
        Some(&self.0.redis)
    }
}

impl DatabaseSubject for ProductSubject {
    /// Every route that needs the database works, and changes are recorded in the outbox.
    async fn assert_works(&mut self, api: &Service, round: i64, setting: &str) {
        let Self(stores) = self;
        eventually("new sessions", SOON, async || api.get("/categories").await.status == 200).await;
        eventually("a write", SOON, async || api.put("/products/2", &json!({ "stock": round })).await.status == 200)
            .await;
        let head = stores.settled_head().await;
        let requests = (0..14).map(|number| async move {
            let path = format!("/products/{}/{}", STRATEGIES[number % STRATEGIES.len()], number + 3);
            let put = api.put(&path, &json!({ "stock": 1_000 + 20 * round + number as i64 })).await;
            assert_eq!(put.status, 200, "{setting}: {put:?}");
            for path in ["/products?limit=5", &path, "/events?after=0&limit=5"] {
                let got = api.get(path).await;
                assert_eq!(got.status, 200, "{setting}: {got:?}");
            }
        });
        futures_util::future::join_all(requests).await;
        assert_eq!(stores.announced_after(head).await.len(), 14, "{setting}");
        let ready = async || api.get("/readyz").await.json()["status"] == "ready";
        eventually(&format!("the readiness with {setting}"), SOON, ready).await;
        api.post("/products", &json!({ "name": "x", "price_cents": 1, "category_id": 1 })).await.expect(201);
        stores.whole_stream().await;
    }
}
