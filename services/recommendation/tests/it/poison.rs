//! Events that cannot be applied: each is counted, becomes a dead letter with the reason, and does not block further
//! events. When events cannot be read, lists say that they may be stale, and readiness says why.

use contract::cart_reference;
use serde_json::json;
use testkit::eventually;
use uuid::Uuid;

use crate::support::{Carts, SOON, Service, Stores, item, started, until_list, with_product_api};

#[tokio::test]
async fn malformed_event_becomes_a_dead_letter_and_the_next_is_applied() {
    let (stores, _api, service) = started().await;
    let mut carts = Carts::new(&stores.redis);
    carts.with(&[1]).await;
    for poison in ["{", "null", "7", r#"{"type":"cart.item_added"}"#] {
        carts.append(&json!(poison)).await;
    }
    let seq = carts.last() + 1;
    let lacks_a_cart = json!({
        "event_id": Uuid::new_v4(), "seq": seq, "type": "cart.item_added", "occurred_at": "2026-11-23T10:00:00Z",
        "product_id": 1, "quantity": 1, "version": 1,
    });
    carts.append(&lacks_a_cart).await;
    let last = carts.with(&[2]).await;
    stores.until_applied("cart:events", carts.last()).await;
    assert_eq!(
        stores.sql(&format!("SELECT product_id FROM basket_items WHERE cart_id = '{}'", cart_reference(last))).await,
        "2"
    );
    assert_eq!(stores.redis(&["XLEN", "recommendation:~dead-letters"]).await, "5");
    let letters = stores.redis(&["XRANGE", "recommendation:~dead-letters", "-", "+"]).await;
    assert!(letters.contains("malformed"), "{letters}");
    assert_eq!(service.metric("events_dead_letters_total", "stream=\"cart:events\"").await, 5.0);
    service.get("/recommendations/1").await.expect(200);
}

#[tokio::test]
async fn unsupported_event_is_set_aside_and_the_next_is_applied() {
    let stores = Stores::start().await;
    let (_api, _service) = stores.both().await;
    let mut carts = Carts::new(&stores.redis);
    let event = |seq: u64, kind: &str, schema: u32| {
        json!({
            "event_id": Uuid::new_v4(), "seq": seq, "schema": schema, "type": kind, "occurred_at": "2026-11-23T10:00:00Z",
            "cart_id": Uuid::new_v4(), "product_id": 1, "quantity": 1, "version": 1,
        })
    };
    carts.append(&event(1, "cart.item_gift_wrapped", 1)).await;
    carts.append(&event(2, "cart.item_added", 2)).await;
    carts.with(&[2]).await;
    stores.until_applied("cart:events", carts.last()).await;
    assert_eq!(stores.sql("SELECT product_id FROM basket_items").await, "2");
}

#[tokio::test]
async fn events_of_unknown_products_are_applied() {
    let (stores, _api, service) = started().await;
    stores.until_shop_is_applied().await;
    let seq: u64 = stores.shop_sql("SELECT seq FROM outbox_head").await.parse().unwrap();
    // The product is created and deleted before the service can fetch it.
    let values = "(900001, 'Here and gone', 1, 1, 1)";
    let insert = format!("INSERT INTO products (id, name, price_cents, stock, category_id) VALUES {values}");
    stores.shop_sql(&format!("BEGIN; {insert}; DELETE FROM products WHERE id = 900001; COMMIT")).await;
    stores.until_shop_is_applied().await;
    stores.until_applied("product:events", seq + 2).await;
    service.get("/recommendations/900001").await.problem(404, "not-found");
    let mut carts = Carts::new(&stores.redis);
    carts.many(5, &[900_001, 900_002]).await;
    carts.many(5, &[1, 14]).await;
    stores.until_learned(carts.last()).await;
    eventually("the copy to be known as current", SOON, async || {
        service.get("/recommendations/1").await.expect(200).json()["catalogue"]["stale"] == false
    })
    .await;
}

const SETTINGS: [(&str, &str); 1] = [("EVENTS__STALE_AFTER", "3s")];

/// Waits until `/readyz` is degraded because of the events of `stream`.
async fn until_events_fail(service: &Service, stream: &str) {
    eventually("the events to fail", SOON, async || {
        let ready = service.readiness().await;
        let events = &ready["checks"]["events"];
        let names = events["detail"].as_str().is_some_and(|detail| detail.contains(stream));
        ready["status"] == "degraded" && events["status"] == "failing" && names
    })
    .await;
}

#[tokio::test]
async fn lists_are_stale_without_access_to_the_streams() {
    let (stores, api) = with_product_api().await;
    let service = stores.start_service(api.url(), &SETTINGS).await;
    let list = "/recommendations/1";
    until_list(&service, list, "the copy to be current", |list| list["catalogue"]["stale"] == false).await;

    // Nothing changes, but the service cannot know that.
    stores.redis.revoke_stream_access("recommendation").await.expect("the rights are taken");
    until_list(&service, list, "the list to be stale", |list| list["catalogue"]["stale"] == true).await;
    until_events_fail(&service, "product:events").await;
    let answer = service.get(list).await.expect(200);
    assert!(answer.header("cache-status").contains("catalogue-stale"), "{answer:?}");
    api.put("/products/25", &json!({ "price_cents": 13_999 })).await.expect(200);

    stores.redis.restore_users().await.expect("the rights are given back");
    until_list(&service, list, "the new price, and a current copy", |list| {
        list["catalogue"]["stale"] == false && item(list, 25).is_some_and(|item| item["price_cents"] == 13_999)
    })
    .await;
    eventually("the events to be ok", SOON, async || {
        service.get("/readyz").await.json()["checks"]["events"]["status"] == "ok"
    })
    .await;
}

/// Only events about carts are missing: the list of a product does not depend on those.
#[tokio::test]
async fn cart_lists_are_stale_without_events_about_carts() {
    let stores = Stores::start().await;
    let (_api, cart, service) = stores.all_with(&SETTINGS).await;
    let path = format!("/recommendations?cart={}", Uuid::new_v4());
    until_list(&service, &path, "the baskets to be current", |list| list["baskets"]["stale"] == false).await;
    stores.redis(&["ACL", "SETUSER", "cart", "-xadd"]).await;
    let put = cart.post("/carts", &json!({})).await.expect(201).json();
    let item = format!("/carts/{}/items/1", put["id"].as_str().expect("an id"));
    cart.put(&item, &json!({ "quantity": 1 })).await.expect(201);

    let list = until_list(&service, &path, "the baskets to be stale", |list| list["baskets"]["stale"] == true).await;
    assert_eq!(list["catalogue"]["stale"], false);
    until_events_fail(&service, "cart:events").await;
    assert_eq!(service.get("/recommendations/1").await.expect(200).json()["baskets"], json!(null));

    stores.redis.restore_users().await.expect("the rights are given back");
    until_list(&service, &path, "the baskets to be current", |list| list["baskets"]["stale"] == false).await;
}
