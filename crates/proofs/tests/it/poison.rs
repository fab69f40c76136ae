//! Invalid events in the outboxes, where every consumer receives them.
//!
//! No consumer stops. Each counts the invalid events and stores them as dead letters with the reason, and later events
//! are applied everywhere.

use std::time::Duration;

use client::Metrics;
use reqwest::Client;
use serde_json::{Value, json};
use testkit::eventually;
use testkit::private_system::{PrivateSystem, Service};

const SOON: Duration = Duration::from_secs(120);

/// Invalid events, and the reason that the dead letter must have.
const POISON: [(&str, &str); 3] = [
    (r#"{"type": "product.updated", "product_id": "three"}"#, "malformed"),
    (r#"{"type": "product.praised", "product_id": 3, "version": 1, "category_id": 3, "changed": []}"#, "unknown-type"),
    (
        r#"{"schema": 2, "type": "product.updated", "product_id": 3, "version": 9, "category_id": 3, "changed": []}"#,
        "newer-schema",
    ),
];

/// Well-formed events about a product and about a cart's line that do not exist.
const GONE: &str =
    r#"{"type": "product.updated", "product_id": 987654321, "version": 3, "category_id": 3, "changed": ["name"]}"#;
const GONE_CART: &str = r#"{"type": "cart.item_added", "cart_id": "01890a5d-ac96-774b-bcce-b302099a8057",
                            "product_id": 987654321, "quantity": 1, "version": 1}"#;

struct Shop {
    system: PrivateSystem,
    http: Client,
}

impl Shop {
    async fn get(&self, service: Service, path: &str) -> Value {
        let answer = self.http.get(format!("{}{path}", self.system.url(service))).send().await.expect("an answer");
        assert!(answer.status().is_success(), "{path}: {answer:?}");
        answer.json().await.expect("JSON")
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> Value {
        let answer = request.send().await.expect("an answer");
        answer.error_for_status().expect("it is taken").json().await.expect("JSON")
    }

    /// Writes an event into an outbox, as if the service had written it.
    async fn announce(&self, database: &str, event: &str) {
        let sql = format!(
            "INSERT INTO outbox (event) SELECT jsonb_build_object('event_id', gen_random_uuid(),
                 'occurred_at', '2026-11-23T10:00:00Z') || '{event}'::jsonb; NOTIFY outbox"
        );
        self.system.postgres.sql(database, &sql).await.expect("the test's own SQL");
    }

    async fn dead_letters(&self, service: Service, stream: &str) -> Vec<String> {
        let script = "local reasons = {}
                      for _, letter in ipairs(redis.call('XRANGE', KEYS[1], '-', '+')) do
                          local field = {}
                          for i = 1, #letter[2], 2 do field[letter[2][i]] = letter[2][i + 1] end
                          if field.stream == ARGV[1] then reasons[#reasons + 1] = field.reason end
                      end
                      return table.concat(reasons, ' ')";
        let letters = format!("{}:~dead-letters", service.name());
        let reasons = self.system.redis.cli(&["EVAL", script, "1", &letters, stream]).await.expect("a script");
        reasons.split_whitespace().map(str::to_owned).collect()
    }

    /// Returns the last number of the product API's outbox, if every row has one.
    async fn head(&self) -> Option<f64> {
        let head = "SELECT seq FROM outbox_head WHERE NOT EXISTS (SELECT FROM outbox WHERE done_at IS NULL)";
        self.system.postgres.sql("shop_db", head).await.expect("the test's own SQL").parse().ok()
    }

    /// Returns whether the position that the service has stored is the last number of the outbox.
    async fn is_past_all(&self, service: Service) -> bool {
        let name = match service {
            Service::Search => "search_index_position",
            _ => "recommendation_catalogue_position",
        };
        let position = self.metrics(service).await.sum(name, &[]);
        position > 0.0 && Some(position) == self.head().await
    }

    async fn counted(&self, service: Service, stream: &str) -> f64 {
        self.metrics(service).await.sum("events_dead_letters_total", &[("stream", stream)])
    }

    async fn metrics(&self, service: Service) -> Metrics {
        Metrics::fetch(&self.http, &self.system.url(service)).await.expect("metrics")
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn invalid_event_stops_no_subscriber_and_later_events_are_applied() {
    let system = PrivateSystem::start(130, &[]).await.expect("the four services");
    let shop = Shop { system, http: Client::builder().no_proxy().timeout(SOON).build().expect("a plain client") };
    let at = |service| shop.system.url(service);

    // The data that each consumer has about product 1 before the test.
    let created = shop.send(shop.http.post(format!("{}/carts", at(Service::Cart))).json(&json!({}))).await;
    let cart = created["id"].as_str().expect("an id").to_owned();
    let line = shop.http.put(format!("{}/carts/{cart}/items/1", at(Service::Cart)));
    shop.send(line.json(&json!({ "quantity": 1 }))).await;
    let name = shop.get(Service::ProductApi, "/products/1").await["name"].as_str().expect("a name").to_owned();
    let neighbours = shop.get(Service::Recommendation, "/recommendations/1").await;
    let neighbour = neighbours["similar"][0]["product_id"].as_i64().expect("product 1 is not alone");
    let (found, listed) = (format!("/search?q={}", name.replace(' ', "+")), format!("/recommendations/{neighbour}"));
    shop.get(Service::Cart, &format!("/carts/{cart}")).await;
    shop.get(Service::Search, &found).await;
    shop.get(Service::Recommendation, &listed).await;

    for (stock, (event, _)) in (5..).zip(POISON) {
        shop.announce("shop_db", event).await;
        shop.announce("cart_db", &event.replace("product.updated", "cart.item_added")).await;
        // One event at a time: the search reacts to an invalid event by comparing everything, which may include the
        // effect of the next event.
        let marker = shop.http.put(format!("{}/products/2", at(Service::ProductApi)));
        shop.send(marker.json(&json!({ "stock": stock }))).await;
        eventually("the index to be past it", SOON, async || shop.is_past_all(Service::Search).await).await;
    }
    shop.announce("shop_db", GONE).await;
    shop.announce("cart_db", GONE_CART).await;
    let change = shop.http.put(format!("{}/products/1", at(Service::ProductApi)));
    shop.send(change.json(&json!({ "price_cents": 4_242 }))).await;

    let price = |products: &Value, id: &str| {
        let products = products.as_array().cloned().unwrap_or_default();
        products.iter().find(|product| product[id] == 1).map(|product| product["price_cents"].clone())
    };
    let new = Some(json!(4_242));
    eventually("the cart to show the new price", SOON, async || {
        shop.get(Service::Cart, &format!("/carts/{cart}")).await["lines"][0]["price_cents"] == 4_242
    })
    .await;
    eventually("the search to show it", SOON, async || {
        price(&shop.get(Service::Search, &found).await["hits"], "id") == new
    })
    .await;
    eventually("the recommendation to show it", SOON, async || {
        price(&shop.get(Service::Recommendation, &listed).await["similar"], "product_id") == new
    })
    .await;
    assert_eq!(shop.get(Service::ProductApi, "/products/tags/1").await["price_cents"], 4_242);

    let wanted: Vec<&str> = POISON.iter().map(|(_, reason)| *reason).collect();
    let heard = Service::SUBSCRIBERS.map(|service| (service, "product:events"));
    for (service, stream) in heard.into_iter().chain([(Service::Recommendation, "cart:events")]) {
        let what = format!("the dead letters of {stream} at {}", service.name());
        let reasons = eventually(&what, SOON, async || {
            let reasons = shop.dead_letters(service, stream).await;
            (reasons.len() >= wanted.len()).then_some(reasons)
        })
        .await;
        assert_eq!(reasons, wanted, "{what}");
        assert_eq!(shop.counted(service, stream).await, 3.0, "{what}, as they are counted");
    }
    // An event of an unknown type with nothing after it: no consumer counts as lagging because of it.
    shop.announce("shop_db", POISON[1].0).await;
    for service in [Service::Search, Service::Recommendation] {
        eventually("it to be past the last event", SOON, async || shop.is_past_all(service).await).await;
    }
    for service in Service::ALL {
        eventually("it to be ready", SOON, async || shop.get(service, "/readyz").await["status"] == "ready").await;
    }
}
