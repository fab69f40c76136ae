//! When events cannot be read or are not applied, lists say that they may be stale, and readiness says why.

use serde_json::json;
use testkit::eventually;
use uuid::Uuid;

use crate::support::{SOON, Service, Stores, item, until_list, with_product_api};

const SETTINGS: [(&str, &str); 1] = [("EVENTS__STALE_AFTER", "3s")];

/// Waits until `/readyz` is degraded because of the events of `stream`.
async fn until_events_fail(ours: &Service, stream: &str) {
    eventually("the events to fail", SOON, async || {
        let ready = ours.get("/readyz").await.expect(200).json();
        let events = &ready["checks"]["events"];
        let names = events["detail"].as_str().is_some_and(|detail| detail.contains(stream));
        ready["status"] == "degraded" && events["status"] == "failing" && names
    })
    .await;
}

#[tokio::test]
async fn lists_are_stale_without_access_to_the_streams() {
    let (stores, api) = with_product_api().await;
    let ours = stores.ours_with(api.url(), &SETTINGS).await;
    let list = "/recommendations/1";
    until_list(&ours, list, "the copy to be current", |list| list["catalogue"]["stale"] == false).await;

    // Nothing changes, but the service cannot know that.
    stores.redis.revoke_stream_access("recommendation").await.expect("the rights are taken");
    until_list(&ours, list, "the list to be stale", |list| list["catalogue"]["stale"] == true).await;
    until_events_fail(&ours, "product:events").await;
    let answer = ours.get(list).await.expect(200);
    assert!(answer.header("cache-status").contains("catalogue-stale"), "{answer:?}");
    api.put("/products/25", &json!({ "price_cents": 13_999 })).await.expect(200);

    stores.redis.restore_users().await.expect("the rights are given back");
    until_list(&ours, list, "the new price, and a current copy", |list| {
        list["catalogue"]["stale"] == false && item(list, 25).is_some_and(|item| item["price_cents"] == 13_999)
    })
    .await;
    eventually("the events to be ok", SOON, async || {
        ours.get("/readyz").await.json()["checks"]["events"]["status"] == "ok"
    })
    .await;
}

/// Only events about carts are missing: the list of a product does not depend on those.
#[tokio::test]
async fn cart_lists_are_stale_without_events_about_carts() {
    let stores = Stores::start().await;
    let (_api, cart, ours) = stores.all_with(&SETTINGS).await;
    let path = format!("/recommendations?cart={}", Uuid::new_v4());
    until_list(&ours, &path, "the baskets to be current", |list| list["baskets"]["stale"] == false).await;
    stores.redis(&["ACL", "SETUSER", "cart", "-xadd"]).await;
    let put = cart.post("/carts", &json!({})).await.expect(201).json();
    let item = format!("/carts/{}/items/1", put["id"].as_str().expect("an id"));
    cart.put(&item, &json!({ "quantity": 1 })).await.expect(201);

    let list = until_list(&ours, &path, "the baskets to be stale", |list| list["baskets"]["stale"] == true).await;
    assert_eq!(list["catalogue"]["stale"], false);
    until_events_fail(&ours, "cart:events").await;
    assert_eq!(ours.get("/recommendations/1").await.expect(200).json()["baskets"], json!(null));

    stores.redis.restore_users().await.expect("the rights are given back");
    until_list(&ours, &path, "the baskets to be current", |list| list["baskets"]["stale"] == false).await;
}
