//! Two carts on one database and one Redis: one set of entries, one share each of the events.

use serde_json::json;
use testkit::eventually;

use crate::support::{CartOf, Fake, SOON, Stores};

#[tokio::test]
async fn what_one_writes_the_other_shows_at_once() {
    let stores = Stores::start().await;
    let fake = Fake::start(1).await;
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
    let stores = Stores::start().await;
    let fake = Fake::start(5).await;
    let (a, b) = tokio::join!(stores.cart(&fake), stores.cart(&fake));
    let cart = CartOf::at(&a).await;
    for product in 1..=5 {
        cart.put(product, 1).await.expect(201);
    }
    let mut last = 0;
    for version in 2..=20 {
        for product in 1..=5 {
            fake.says(product, version, &json!({}));
            last = fake.announces(&stores.redis, "product.updated", product, version).await;
        }
        a.get(&cart.path()).await.expect(200);
    }
    stores.until_carried_out(last).await;
    for service in [&a, &b] {
        let view = cart.through(service).view().await.expect(200).json();
        assert!((0..5).all(|line| view["lines"][line]["product_version"] == 20), "{view}");
    }
    let applied = a.metric("events_applied_total", "").await + b.metric("events_applied_total", "").await;
    assert_eq!(applied, f64::from(19 * 5), "each by one of them");
}

#[tokio::test]
async fn what_a_killed_one_has_read_and_not_carried_out_the_other_takes_over() {
    let stores = Stores::start().await;
    let fake = Fake::start(1).await;
    let settings = [("EVENTS__CLAIM_AFTER", "300ms")];
    let a = stores.cart_with(fake.url(), &settings).await;
    let cart = CartOf::at(&a).await;
    cart.put(1, 1).await.expect(201);
    stores.until_announced().await;
    cart.cached().await;
    a.process.kill9().await.expect("it is killed");
    fake.says(1, 2, &json!({}));
    let seq = fake.announces(&stores.redis, "product.updated", 1, 2).await;
    assert!(stores.read_and_vanish().await.contains("product.updated"));
    let b = stores.cart_with(fake.url(), &settings).await;
    let cart = cart.through(&b);
    stores.until_carried_out(seq).await;
    eventually("the change to show", SOON, async || cart.line(1).await["product_version"] == 2).await;
}
