//! Redis is down, hangs, and returns: carts are read and written nevertheless, and no old view is shown.

use serde_json::json;
use testkit::eventually;

use crate::support::{CartOf, SOON, Service, Stores};

const QUICK: [(&str, &str); 1] = [("REDIS__COMMAND_TIMEOUT", "200ms")];

async fn until_in_use(service: &Service) {
    eventually("Redis to be in use", SOON, async || service.metric("cache_breaker_open", "").await == 0.0).await;
}

#[tokio::test]
async fn carts_are_read_and_written_without_redis_and_never_outdated() {
    let (stores, fake) = Stores::with_fake(2).await;
    let service = stores.cart_with(fake.url(), &QUICK).await;
    let cart = CartOf::with(&service, &[1]).await;
    cart.view().await.expect(200);
    stores.redis.kill().await.expect("it is killed");
    for version in 2..6 {
        let put = cart.put(1, version).await.expect(200);
        assert_eq!(put.source(), "fwd=method; detail=deferred");
        fake.set_product(2, version, &json!({}));
        cart.put(2, version).await;
        let view = cart.view().await.expect(200);
        assert_eq!(view.source(), "fwd=bypass; detail=redis-down");
        let (one, two) = (cart.line(1).await, cart.line(2).await);
        assert_eq!(
            (&one["quantity"], &two["product_version"], &one["stale"]),
            (&json!(version), &json!(version), &json!(false))
        );
    }
    let ready = service.readiness().await;
    assert_eq!((&ready["status"], &ready["checks"]["redis"]["status"]), (&json!("degraded"), &json!("failing")));
    stores.redis.restart().await.expect("it starts");
    until_in_use(&service).await;
    stores.until_published().await;
    eventually("hits", SOON, async || {
        assert_eq!(cart.line(1).await["quantity"], 5);
        cart.view().await.expect(200).source() == "hit"
    })
    .await;
    assert_eq!(stores.redis(&["XLEN", "cart:events"]).await, stores.sql("SELECT count(*) FROM outbox").await);
}

#[tokio::test]
async fn a_redis_that_hangs_and_returns_with_old_entries_shows_none_of_them() {
    let (stores, fake) = Stores::with_fake(1).await;
    let service = stores.cart_with(fake.url(), &QUICK).await;
    let cart = CartOf::with(&service, &[1]).await;
    stores.until_published().await;
    cart.view().await.expect(200);
    stores.redis.pause();
    assert_eq!(cart.put(1, 2).await.expect(200).source(), "fwd=method; detail=deferred");
    assert_eq!(cart.line(1).await["quantity"], 2);
    stores.redis.resume();
    // Redis still has the view of one piece until the deferred invalidation is done, but no client receives it.
    until_in_use(&service).await;
    assert_eq!(cart.line(1).await["quantity"], 2);
    stores.until_published().await;
    cart.cached().await;
    assert_eq!(cart.line(1).await["quantity"], 2);
}

/// Events from the time without Redis were lost with it, or arrive later: in either case, no older data are shown.
#[tokio::test]
async fn changes_during_a_redis_outage_are_shown_when_redis_returns() {
    let stores = Stores::start().await;
    let (api, _) = (stores.product_api("0").await, ());
    let service = stores.cart_with(api.url(), &QUICK).await;
    let cart = CartOf::with(&service, &[1]).await;
    cart.view().await.expect(200);
    stores.redis.kill().await.expect("it is killed");
    stores.shop_sql("UPDATE products SET price_cents = 4711 WHERE id = 1").await;
    let line = cart.line(1).await;
    assert_eq!(line["price_cents"], 4711, "without Redis the product API is asked: {line}");
    stores.redis.restart().await.expect("it starts");
    stores.shop_sql("UPDATE products SET price_cents = 4712 WHERE id = 1").await;
    stores.until_price(&cart, 1, 4712).await;
    cart.cached().await;
    assert_eq!(cart.line(1).await["price_cents"], 4712);
}
