//! The tests that every service passes.

use std::process::Command;

use reqwest::Method;
use serde_json::json;
use testkit::http::Service;
use testkit::suite::{DatabaseSubject, Subject};
use testkit::{Database, Redis, eventually};

use crate::support::{CartOf, Fake, SOON, Stores};

testkit::suite!(CartSubject, database);
testkit::suite!(CartSubject: unusable_bodies_are_refused_by_every_route);
testkit::suite!(CartSubject: redis_states_are_named_by_readyz_and_cause_no_5xx);

/// The cart over a fake product API.
struct CartSubject {
    stores: Stores,
    fake: Fake,
}

impl Subject for CartSubject {
    const NAME: &'static str = "cart";
    const OPERATIONS: &'static [&'static str] = &[
        "delete /carts/{id}/items/{product_id}", "get /cache/entries", "get /cache/feed", "get /cache/near/{key}",
        "get /cache/stats/{key}", "get /carts/{id}", "get /events", "get /events/position", "get /events/snapshot",
        "head /cache/entries", "head /cache/feed", "head /cache/near/{key}", "head /cache/stats/{key}",
        "head /carts/{id}", "head /events", "head /events/position", "head /events/snapshot",
        "post /cache/invalidations", "post /carts", "put /carts/{id}/items/{product_id}",
    ];
    const OWN_OPERATIONS_ROUTES: &'static [&'static str] =
        &["/events?after=0", "/events/position?transaction=1", "/events/snapshot"];
    const SHARED_SECTIONS: &'static [&'static str] = &["POSTGRES", "INCARNATION", "RELAY", "EVENTS", "PRODUCT_API"];
    const INVALID_SETTINGS: &'static [(&'static str, &'static str, &'static str)] = &[
        ("LANES__VIEW__SOFT_TTL", "1s", "never served stale"),
        ("LANES__PRODUCT__HARD_TTL", "0s", ""),
        ("LANES__VIWE__HARD_TTL", "5s", "did you mean LANES__VIEW"),
        ("EVENTS__CLAIM_AFTRE", "5s", "did you mean EVENTS__CLAIM_AFTER"),
    ];
    const HOSTILE_SEED: u64 = 2;

    async fn prepare() -> Self {
        Self { stores: Stores::start().await, fake: Fake::start(8).await }
    }

    fn command(&self, settings: &[(&str, &str)]) -> Command {
        self.stores.cart_command(self.fake.url(), settings)
    }

    async fn fill(&self, service: &Service) -> Vec<(&'static str, String)> {
        let cart = CartOf::at(service).await;
        cart.put(1, 1).await.expect(201);
        cart.view().await.expect(200);
        let transaction = ("/events/position", "?transaction=1".to_owned());
        vec![("id", cart.id), ("product_id", "1".to_owned()), ("key", "cart:product:1".to_owned()), transaction]
    }

    fn bodies(values: &[(&'static str, String)]) -> Vec<(Method, String, &'static str)> {
        let item = |product: i64| format!("/carts/{}/items/{product}", values[0].1);
        [1, 2].map(|product| (Method::PUT, item(product), r#"{"quantity": 2}"#)).to_vec()
    }

    fn hostile_paths(values: &[(&'static str, String)]) -> Vec<String> {
        let view = format!("/carts/{}", values[0].1);
        let line = format!("{view}/items/1");
        let others = ["/carts", "/carts/1", "/events"].map(str::to_owned);
        [view.clone(), view, line.clone(), line].into_iter().chain(others).collect()
    }

    fn database(&self) -> Option<&Database> {
        Some(&self.stores.database)
    }

    fn redis(&self) -> Option<&Redis> {
        Some(&self.stores.redis)
    }
}

impl DatabaseSubject for CartSubject {
    /// Carts can be read and written, their changes are recorded in the outbox, and changes of products are applied.
    async fn assert_works(&mut self, service: &Service, round: i64, setting: &str) {
        let Self { stores, fake } = self;
        let created = eventually("new sessions", SOON, async || {
            let created = service.post("/carts", &json!({})).await;
            (created.status == 201).then(|| created.json()["id"].as_str().expect("an id").to_owned())
        });
        let cart = CartOf { service, id: created.await };
        eventually("a write", SOON, async || [200, 201].contains(&cart.put(1, 1).await.status)).await;
        let requests = (2..8).map(|product| async move {
            let cart = CartOf::at(service).await;
            let put = cart.put(product, 1 + round).await;
            assert_eq!(put.status, 201, "{setting}: {put:?}");
            let view = cart.view().await;
            assert_eq!(view.status, 200, "{setting}: {view:?}");
            assert_eq!(view.json()["lines"][0]["quantity"], 1 + round, "{setting}");
            assert_eq!(cart.remove(product).await.status, 204, "{setting}");
            let log = service.get("/events?after=0&limit=5").await;
            assert_eq!(log.status, 200, "{setting}: {log:?}");
        });
        futures_util::future::join_all(requests).await;
        stores.until_published().await;
        let version = 10 + round;
        fake.set_product(1, version, &json!({ "price_cents": 5_000 + round }));
        let seq = fake.publish(&stores.redis, "product.updated", 1, version).await;
        stores.until_applied("product:events", seq).await;
        assert_eq!(stores.sql("SELECT floor_version FROM known_products WHERE id = 1").await, version.to_string());
        stores.until_price(&cart, 1, 5_000 + round).await;
        let checks = service.readiness().await["checks"].clone();
        for check in ["postgres", "postgres-writes", "relay"] {
            assert_eq!(checks[check]["status"], "ok", "{check} with {setting}: {checks}");
        }
    }
}
