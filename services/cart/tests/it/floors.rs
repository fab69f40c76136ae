//! A product API that returns older data than its events report: they are shown, marked as stale, and never stored.

use serde_json::json;
use testkit::eventually;

use crate::support::{CartOf, SOON, Service, started};

async fn is_cached(service: &Service, key: &str) -> bool {
    service.get(&format!("/cache/stats/{key}")).await.status == 200
}

#[tokio::test]
async fn data_older_than_the_last_event_are_refetched_once_and_marked_stale() {
    let (stores, fake, service) = started(2).await;
    let cart = CartOf::with(&service, &[1, 2]).await;
    assert_eq!(cart.view().await.expect(200).json()["stale"], false);
    // The event reports version 2, but the server that responds still has version 1.
    let seq = fake.publish(&stores.redis, "product.updated", 1, 2).await;
    stores.until_applied("product:events", seq).await;
    fake.asked();
    for _ in 0..3 {
        let view = cart.view().await.expect(200);
        assert_eq!((view.source(), &view.json()["stale"]), ("fwd=miss; detail=not-stored", &json!(true)));
        let line = cart.line(1).await;
        assert_eq!((&line["product_version"], &line["stale"]), (&json!(1), &json!(true)));
    }
    let asked = fake.asked();
    assert!(asked.len() == 12 && asked.iter().all(|ids| *ids == 1), "each view asks twice for the one: {asked:?}");
    assert!(!is_cached(&service, "cart:product:1").await && is_cached(&service, "cart:product:2").await);
    fake.set_product(1, 2, &json!({ "price_cents": 777 }));
    let view = cart.view().await.expect(200);
    assert_eq!((view.source(), &view.json()["stale"]), ("fwd=miss; stored", &json!(false)));
    assert_eq!(cart.line(1).await["price_cents"], 777);
}

#[tokio::test]
async fn data_from_before_a_deletion_or_update_event_are_rejected() {
    let (stores, fake, service) = started(2).await;
    let cart = CartOf::with(&service, &[1, 2]).await;
    // The product is deleted, but the server that responds still has it.
    fake.publish(&stores.redis, "product.deleted", 1, 1).await;
    // The product is changed, but the server that responds does not have it yet.
    fake.remove_product(2);
    let seq = fake.publish(&stores.redis, "product.updated", 2, 2).await;
    stores.until_applied("product:events", seq).await;
    let (one, two) = (cart.line(1).await, cart.line(2).await);
    assert_eq!((&one["availability"]["state"], &one["stale"]), (&json!("no_longer_sold"), &json!(true)));
    assert_eq!((&two["availability"]["state"], &two["stale"]), (&json!("in_stock"), &json!(true)));
    fake.remove_product(1);
    fake.set_product(2, 2, &json!({}));
    let view = cart.view().await.expect(200);
    assert_eq!((view.source(), &view.json()["stale"]), ("fwd=miss; stored", &json!(false)), "{}", view.text());
}

/// A product that is deleted and inserted again in one transaction is another row, whose versions begin at 1.
#[tokio::test]
async fn last_known_data_are_those_of_the_new_row_of_a_product() {
    let (stores, fake, service) = started(1).await;
    fake.set_product(1, 7, &json!({ "name": "Old" }));
    let cart = CartOf::with(&service, &[1]).await;
    assert_eq!(cart.line(1).await["name"], "Old");
    fake.set_product(1, 1, &json!({ "name": "New" }));
    let changes = [("product.deleted", 1, 7), ("product.created", 1, 1)];
    let seq = fake.publish_changes(&stores.redis, &changes).await;
    stores.until_applied("product:events", seq).await;
    assert_eq!(cart.line(1).await["name"], "New");
    fake.set_unavailable(true);
    let seq = fake.publish(&stores.redis, "product.updated", 1, 2).await;
    stores.until_applied("product:events", seq).await;
    let line = cart.line(1).await;
    assert_eq!((&line["name"], &line["stale"]), (&json!("New"), &json!(true)));
}

#[tokio::test]
async fn late_event_lowers_no_minimum_version() {
    let (stores, fake, service) = started(1).await;
    CartOf::with(&service, &[1]).await;
    service.process.kill9().await.expect("it is killed");
    // A consumer reads the first event in the group's name and disappears: the event is applied last, and late.
    fake.publish(&stores.redis, "product.updated", 1, 2).await;
    assert!(stores.read_and_vanish().await.contains("product.updated"));
    // Long: on a busy machine, the first event could otherwise be taken over before the others are published.
    let _service = stores.cart_with(fake.url(), &[("EVENTS__CLAIM_AFTER", "30m")]).await;
    fake.publish(&stores.redis, "product.updated", 1, 3).await;
    let last = fake.publish(&stores.redis, "product.updated", 1, 4).await;
    let floor = "SELECT floor_version, seq FROM known_products WHERE id = 1";
    eventually("the last event", SOON, async || stores.sql(floor).await == format!("4|{last}")).await;
    assert!(!stores.has_applied("product:events", last).await, "the first one is still to be taken over");
    stores.make_idle("product:events", &stores.pending("product:events").await).await;
    stores.until_applied("product:events", last).await;
    assert_eq!(stores.sql(floor).await, format!("4|{last}"));
}

#[tokio::test]
async fn event_versions_are_reset_when_the_catalogue_may_have_changed() {
    let (stores, fake, service) = started(1).await;
    let cart = CartOf::with(&service, &[1]).await;
    let seq = fake.publish(&stores.redis, "product.updated", 1, 9).await;
    stores.until_applied("product:events", seq).await;
    assert_eq!(cart.line(1).await["stale"], true);
    // A new group: it is unknown which events were missed.
    stores.redis(&["XGROUP", "DESTROY", "product:events", "cart"]).await;
    eventually("fresh facts", SOON, async || cart.line(1).await["stale"] == false).await;
}

#[tokio::test]
async fn reset_of_event_versions_does_not_deadlock_with_readers() {
    let (stores, _fake, service) = started(2).await;
    let cart = CartOf::at(&service).await;
    // The rows are in this order in the table.
    cart.put(2, 1).await.expect(201);
    cart.put(1, 1).await.expect(201);
    cart.view().await.expect(200);
    assert_eq!(stores.sql("SELECT id FROM known_products").await, "2\n1");
    // Takes the locks as a reader that is about to store both.
    let first = stores.hold_reactions(1).await;
    stores.redis(&["XGROUP", "DESTROY", "product:events", "cart"]).await;
    stores.until_waiting(1).await;
    stores
        .try_sql("SELECT FROM known_products WHERE id = 2 FOR UPDATE NOWAIT")
        .await
        .expect("who waits holds no later one");
    first.release().await;
    let told = "SELECT count(*) FROM known_products WHERE version > 0";
    eventually("all to be forgotten", SOON, async || stores.sql(told).await == "0").await;
}
