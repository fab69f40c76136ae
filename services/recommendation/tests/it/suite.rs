//! The tests that every service passes.

use std::process::Command;

use testkit::http::Service;
use testkit::suite::{DatabaseSubject, Subject};
use testkit::{Database, Redis, eventually};

use crate::support::{Carts, SOON, Stores, ids, item, until_both_are_read, until_list};

testkit::suite!(RecommendationSubject, database);
testkit::suite!(RecommendationSubject: redis_states_are_named_by_readyz_and_cause_no_5xx);

/// The recommendation service over a real product API.
struct RecommendationSubject {
    stores: Stores,
    api: Option<Service>,
    last_cart_event: u64,
}

impl Subject for RecommendationSubject {
    const NAME: &'static str = "recommendation";
    const OPERATIONS: &'static [&'static str] = &[
        "get /cache/entries", "get /cache/feed", "get /cache/near/{key}", "get /cache/stats/{key}",
        "get /recommendations", "get /recommendations/{product_id}", "head /cache/entries", "head /cache/feed",
        "head /cache/near/{key}", "head /cache/stats/{key}", "head /recommendations",
        "head /recommendations/{product_id}", "post /cache/invalidations",
    ];
    const SHARED_SECTIONS: &'static [&'static str] = &["POSTGRES", "INCARNATION", "EVENTS", "PRODUCT_API"];
    const INVALID_SETTINGS: &'static [(&'static str, &'static str, &'static str)] = &[
        ("LANES__LIST__HARD_TTL", "0s", ""),
        ("LANES__LSIT__HARD_TTL", "5s", "did you mean LANES__LIST"),
        ("LEARNING__LEAST_SCORE", "-1", ""),
        ("CART__URI", "http://127.0.0.1:1", ""),
    ];
    // There is no cart service to read the baskets from.
    const FAILING_CHECKS: &'static [&'static str] = &["baskets"];
    const HOSTILE_SEED: u64 = 4;

    async fn prepare() -> Self {
        let stores = Stores::start().await;
        let api = Some(stores.product_api("0").await);
        Self { stores, api, last_cart_event: 0 }
    }

    async fn prepare_stores() -> Self {
        Self { stores: Stores::start().await, api: None, last_cart_event: 0 }
    }

    fn command(&self, settings: &[(&str, &str)]) -> Command {
        self.stores.service_command_with(self.api.as_ref().map_or("http://127.0.0.1:9", Service::url), settings)
    }

    async fn start(&self, settings: &[(&str, &str)]) -> Service {
        let service = Service::start(&self.command(settings)).await;
        self.stores.until_shop_is_applied().await;
        until_both_are_read(&service).await;
        service
    }

    async fn fill(&self, service: &Service) -> Vec<(&'static str, String)> {
        service.get("/recommendations/1").await.expect(200);
        let cart = "?cart=67e55044-10b1-426f-9247-bb680e5fe0c8";
        [("product_id", "1"), ("key", "recommendation:list:1"), ("/recommendations", cart)]
            .map(|(name, value)| (name, value.to_owned()))
            .to_vec()
    }

    fn hostile_paths(_: &[(&'static str, String)]) -> Vec<String> {
        let cart = "/recommendations?cart=67e55044-10b1-426f-9247-bb680e5fe0c8";
        ["/recommendations/1", "/recommendations/2", cart, "/recommendations"].map(str::to_owned).to_vec()
    }

    fn database(&self) -> Option<&Database> {
        Some(&self.stores.database)
    }

    fn redis(&self) -> Option<&Redis> {
        Some(&self.stores.redis)
    }
}

impl DatabaseSubject for RecommendationSubject {
    /// Lists are built, events about products and carts are applied, and baskets are learned from.
    async fn assert_works(&mut self, service: &Service, round: i64, setting: &str) {
        let stores = &self.stores;
        let path = format!("/recommendations/{}", 20 + round);
        eventually(&format!("new sessions with {setting}"), SOON, async || service.get(&path).await.status == 200)
            .await;
        let price = 13_900 + round;
        stores.shop_sql(&format!("UPDATE products SET price_cents = {price} WHERE id = 25")).await;
        let is_new = |list: &serde_json::Value| item(list, 25).is_some_and(|item| item["price_cents"] == price);
        until_list(service, "/recommendations/13", &format!("a new price with {setting}"), is_new).await;
        // None of the products 43 to 60 is sold out.
        let mut carts = Carts::after(&stores.redis, self.last_cart_event);
        carts.many(5, &[20 + round, 43 + round]).await;
        carts.many(5, &[80 + round, 100 + round]).await;
        stores.until_learned(carts.last()).await;
        let requests = (0..8).map(|number| async move {
            let list = service.get(&format!("/recommendations/{}", 30 + 10 * number + round)).await;
            assert_eq!(list.status, 200, "{setting}: {list:?}");
            let list = service.get(&format!("/recommendations?cart={}", uuid::Uuid::new_v4())).await;
            assert_eq!(list.status, 200, "{setting}: {list:?}");
        });
        futures_util::future::join_all(requests).await;
        let learned = |list: &serde_json::Value| ids(list, "bought_together").contains(&(43 + round));
        until_list(service, &path, &format!("what was learned with {setting}"), learned).await;
        let checks = service.readiness().await["checks"].clone();
        for check in ["postgres", "postgres-writes", "catalogue"] {
            assert_eq!(checks[check]["status"], "ok", "{check} with {setting}: {checks}");
        }
        self.last_cart_event = carts.last();
    }
}
