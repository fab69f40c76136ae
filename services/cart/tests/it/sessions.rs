//! Settings that an administrator gives a role or a database (`ALTER ROLE … SET`) do not affect the cart's own
//! sessions.

use serde_json::json;
use testkit::{FOREIGN_SETTINGS, Postgres, eventually};

use crate::support::{CartOf, Fake, SOON, Service, Stores};

/// Asserts that carts can be read and written, that their changes are recorded in the outbox, and that changes of
/// products are applied.
async fn all_is_well(stores: &Stores, fake: &Fake, service: &Service, round: i64, setting: &str) {
    // The earlier sessions have been terminated.
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
    stores.until_announced().await;
    let version = 10 + round;
    fake.says(1, version, &json!({ "price_cents": 5_000 + round }));
    let seq = fake.announces(&stores.redis, "product.updated", 1, version).await;
    stores.until_carried_out(seq).await;
    assert_eq!(stores.sql("SELECT floor_version FROM known_products WHERE id = 1").await, version.to_string());
    stores.until_price(&cart, 1, 5_000 + round).await;
    let checks = service.get("/readyz").await.expect(200).json()["checks"].clone();
    for check in ["postgres", "postgres-writes", "relay"] {
        assert_eq!(checks[check]["status"], "ok", "{check} with {setting}: {checks}");
    }
}

#[tokio::test]
async fn running_cart_is_not_harmed_by_settings_of_its_role() {
    let (stores, postgres) = (Stores::start().await, Postgres::shared().await);
    let url = postgres.create_owner(stores.cart_database()).await.expect("a new role");
    let fake = Fake::start(8).await;
    let service = stores.cart_with(fake.url(), &[("POSTGRES__URL", &url)]).await;
    for (round, setting) in (0..).zip(FOREIGN_SETTINGS) {
        postgres.set_for_owner(stores.cart_database(), &[setting]).await.expect("the test's own SQL");
        all_is_well(&stores, &fake, &service, round, setting).await;
    }
}

#[tokio::test]
async fn cart_brings_up_an_empty_database_under_foreign_settings() {
    let (stores, postgres) = (Stores::start().await, Postgres::shared().await);
    let url = postgres.create_owner(stores.cart_database()).await.expect("a new role");
    postgres.set_for_owner(stores.cart_database(), &FOREIGN_SETTINGS).await.expect("the test's own SQL");
    let fake = Fake::start(8).await;
    let service = stores.cart_with(fake.url(), &[("POSTGRES__URL", &url)]).await;
    all_is_well(&stores, &fake, &service, 0, "all of them").await;
}
