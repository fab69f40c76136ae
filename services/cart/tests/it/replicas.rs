//! Two processes of the cart on one database and one Redis: they share the entries, and each applies a part of the
//! events.

use serde_json::json;
use testkit::eventually;

use crate::support::{CartOf, SOON, Service, Stores};

#[tokio::test]
async fn write_through_one_process_is_shown_at_once_by_the_other() {
    let (stores, fake) = Stores::with_fake(1).await;
    let (a, b) = tokio::join!(stores.cart(&fake), stores.cart(&fake));
    let here = CartOf::at(&a).await;
    let there = here.through(&b);
    for quantity in 1..20 {
        here.put(1, quantity).await;
        assert_eq!(there.line(1).await["quantity"], quantity);
        assert_eq!(here.line(1).await["quantity"], quantity);
    }
}

#[tokio::test]
async fn events_are_shared_and_each_change_shows_at_both() {
    let (stores, fake) = Stores::with_fake(5).await;
    let (a, b) = tokio::join!(stores.cart(&fake), stores.cart(&fake));
    let cart = CartOf::at(&a).await;
    for product in 1..=5 {
        cart.put(product, 1).await.expect(201);
    }
    let mut last = 0;
    for version in 2..=20 {
        for product in 1..=5 {
            fake.set_product(product, version, &json!({}));
            last = fake.publish(&stores.redis, "product.updated", product, version).await;
        }
        a.get(&cart.path()).await.expect(200);
    }
    stores.until_applied("product:events", last).await;
    for service in [&a, &b] {
        let view = cart.through(service).view().await.expect(200).json();
        assert!((0..5).all(|line| view["lines"][line]["product_version"] == 20), "{view}");
    }
    let (by_a, by_b) = (a.metric("events_applied_total", "").await, b.metric("events_applied_total", "").await);
    assert_eq!(by_a + by_b, f64::from(19 * 5), "each by one of them");
    assert!(by_a > 0.0 && by_b > 0.0, "both have a share: {by_a} and {by_b}");
}

/// One process is killed while it applies three events. The other one is not held up, and has applied two more by then.
#[tokio::test]
async fn events_of_a_killed_process_are_taken_over_by_its_peer() {
    let (stores, fake) = Stores::with_fake(5).await;
    // Long: on a busy machine, the held process could otherwise extend its claim too late, and lose its events alive.
    let settings = [("EVENTS__CLAIM_AFTER", "30m")];
    let (a, b) = tokio::join!(stores.cart_with(fake.url(), &settings), stores.cart_with(fake.url(), &settings));
    let cart = CartOf::at(&a).await;
    for product in 1..=5 {
        cart.put(product, 1).await.expect(201);
    }
    stores.until_published().await;
    cart.cached().await;

    let lock = stores.hold_reactions(3).await;
    (1..=5).for_each(|product| fake.set_product(product, 2, &json!({})));
    fake.publish_together(&stores.redis, "product.updated", &[1, 2, 3], 2).await;
    stores.until_waiting(1).await;
    let pending = stores.pending("product:events").await;
    assert!(pending.iter().map(|(seq, _)| *seq).eq(1..=3), "{pending:?}");
    assert!(pending.iter().all(|(_, who)| *who == pending[0].1), "one has all of them: {pending:?}");
    fake.publish_together(&stores.redis, "product.updated", &[4, 5], 2).await;
    let applied = async |service: &Service| service.metric("events_applied_total", "").await;
    eventually("the other to carry out what it was given", SOON, async || applied(&a).await + applied(&b).await == 2.0)
        .await;
    let (killed, other) = if applied(&a).await == 0.0 { (&a, &b) } else { (&b, &a) };
    let received = async |service: &Service| service.metric("events_received_total", "").await;
    assert_eq!((received(killed).await, received(other).await), (3.0, 2.0), "it is the one that is held");
    eventually("only these to be left", SOON, async || stores.pending("product:events").await == pending).await;

    killed.process.kill9().await.expect("it is killed");
    // Postgres must not finish the dead process' statements either: from here on, only the other process applies
    // events.
    stores.end_waiting().await;
    lock.release().await;
    stores.make_idle("product:events", &pending).await;
    let cart = cart.through(other);
    eventually("the other to have taken over", SOON, async || {
        let view = cart.view().await.expect(200).json();
        let is_new = |product: usize| view["lines"][product]["product_version"] == 2 && view["stale"] == false;
        (0..5).all(is_new) && stores.pending("product:events").await.is_empty()
    })
    .await;
    assert_eq!(other.metric("events_claimed_total", "").await, 3.0);
    assert_eq!((applied(other).await, other.metric("events_duplicates_total", "").await), (5.0, 0.0), "each once");
    let floors = "SELECT count(*), min(floor_version), max(floor_version) FROM known_products";
    assert_eq!(stores.sql(floors).await, "5|2|2");
}
