//! Changes of products whose events the cart cannot receive: it asks the product API, and marks views as stale if that
//! does not respond.

use serde_json::{Value, json};
use testkit::eventually;

use crate::support::{CartOf, SOON, Service, Stores};

const SETTINGS: [(&str, &str); 1] = [("EVENTS__STALE_AFTER", "3s")];

/// From now on the cart's database refuses the first write of the event handler.
const REFUSE_FLOORS: &str = "
    CREATE FUNCTION refuse_floor() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF TG_OP = 'INSERT' AND NEW.floor_version > 0 OR TG_OP = 'UPDATE' AND NEW.floor_version <> OLD.floor_version THEN
            RAISE EXCEPTION 'refused by a test';
        END IF;
        RETURN NEW;
    END $$;
    CREATE TRIGGER refuse_floor BEFORE INSERT OR UPDATE ON known_products
        FOR EACH ROW EXECUTE FUNCTION refuse_floor()";

async fn check(service: &Service, name: &str) -> (Value, Value) {
    let ready = service.readiness().await;
    (ready["status"].clone(), ready["checks"][name].clone())
}

/// Waits until the service is degraded because of its events, and names the stream.
async fn until_events_fail(service: &Service) {
    eventually("the events to fail", SOON, async || {
        let (status, events) = check(service, "events").await;
        let names = events["detail"].as_str().is_some_and(|detail| detail.contains("product:events"));
        status == "degraded" && events["status"] == "failing" && names
    })
    .await;
}

async fn until_events_are_ok(service: &Service) {
    eventually("the events to be ok", SOON, async || check(service, "events").await.1["status"] == "ok").await;
}

#[tokio::test]
async fn cart_without_access_to_the_stream_shows_what_the_product_api_says() {
    let stores = Stores::start().await;
    let api = stores.product_api("0").await;
    let service = stores.cart_with(api.url(), &SETTINGS).await;
    let cart = CartOf::at(&service).await;
    api.put("/products/1", &json!({ "price_cents": 500, "stock": 50 })).await.expect(200);
    cart.put(1, 2).await.expect(201);
    stores.until_price(&cart, 1, 500).await;
    cart.cached().await;

    stores.redis.revoke_stream_access("cart").await.expect("the rights are taken");
    // A read that Redis had already accepted is answered.
    until_events_fail(&service).await;
    api.put("/products/1", &json!({ "price_cents": 600 })).await.expect(200);
    // The cache is in use, and has the old price.
    stores.until_price(&cart, 1, 600).await;
    let view = cart.view().await.expect(200);
    assert_eq!((view.source(), &view.json()["stale"]), ("fwd=bypass; detail=events-unverified", &json!(false)));
    assert_eq!(check(&service, "redis").await.1["status"], "ok");
    // The price of a new line does not come from the cache either.
    api.put("/products/2", &json!({ "price_cents": 700 })).await.expect(200);
    let put = cart.put(2, 1).await.expect(201).json();
    assert_eq!((&put["added_price_cents"], &put["stale"]), (&json!(700), &json!(false)));
    api.put("/products/2", &json!({ "price_cents": 800 })).await.expect(200);
    assert_eq!(CartOf::at(&service).await.put(2, 1).await.expect(201).json()["added_price_cents"], 800);

    // If the product API is down too, the last known data are shown and marked as stale.
    api.process.pause();
    eventually("a stale view", SOON, async || cart.view().await.expect(200).json()["stale"] == true).await;
    assert_eq!(cart.view().await.expect(200).source(), "fwd=bypass; detail=events-unverified");
    api.process.resume();

    stores.redis.restore_users().await.expect("the rights are given back");
    until_events_are_ok(&service).await;
    stores.until_price(&cart, 1, 600).await;
    eventually("a hit", SOON, async || {
        let view = cart.cached().await;
        view.source() == "hit" && view.json()["lines"][0]["price_cents"] == 600
    })
    .await;
}

/// The consumer has read the whole stream, but the relay cannot append.
#[tokio::test]
async fn relay_that_cannot_append_shows_in_the_readiness_of_both_services() {
    let stores = Stores::start().await;
    let api = stores.product_api("0").await;
    let service = stores.cart_with(api.url(), &SETTINGS).await;
    let cart = CartOf::with(&service, &[1]).await;
    api.put("/products/1", &json!({ "price_cents": 500 })).await.expect(200);
    stores.until_price(&cart, 1, 500).await;
    until_events_are_ok(&service).await;

    stores.redis(&["ACL", "SETUSER", "product-api", "-xadd"]).await;
    stores.shop_sql("UPDATE products SET price_cents = 600 WHERE id = 1").await;
    eventually("the relay to fail", SOON, async || {
        let (status, relay) = check(&api, "relay").await;
        let says = relay["detail"].as_str().is_some_and(|detail| detail.contains("cannot be appended"));
        status == "degraded" && relay["status"] == "failing" && says
    })
    .await;
    until_events_fail(&service).await;
    let view = cart.view().await.expect(200).json();
    assert_eq!((&view["lines"][0]["price_cents"], &view["stale"]), (&json!(600), &json!(false)));

    stores.redis.restore_users().await.expect("the rights are given back");
    until_events_are_ok(&service).await;
    eventually("the relay", SOON, async || check(&api, "relay").await.1["status"] == "ok").await;
    stores.until_price(&cart, 1, 600).await;
}

/// The consumer receives an event repeatedly, and cannot apply it.
#[tokio::test]
async fn failing_event_handler_shows_in_readiness_and_bypasses_the_cache() {
    let stores = Stores::start().await;
    let api = stores.product_api("0").await;
    let service = stores.cart_with(api.url(), &SETTINGS).await;
    let cart = stores.cached_cart(&service, &[1]).await;

    stores.sql(REFUSE_FLOORS).await;
    api.put("/products/1", &json!({ "price_cents": 4_711 })).await.expect(200);
    until_events_fail(&service).await;
    let view = cart.view().await.expect(200);
    assert_eq!(view.json()["lines"][0]["price_cents"], 4_711, "{}", view.text());
    assert_eq!(view.source(), "fwd=bypass; detail=events-unverified");
    stores.sql("DROP TRIGGER refuse_floor ON known_products").await;
    until_events_are_ok(&service).await;
    stores.until_price(&cart, 1, 4_711).await;
}
