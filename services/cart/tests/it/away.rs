//! The product API is down, hangs, and returns: the cart continues with its last known data, marked as stale.

use std::time::{Duration, Instant};

use serde_json::json;
use testkit::{eventually, free_port};

use crate::support::{CartOf, SOON, Stores, started};

#[tokio::test]
async fn last_known_data_are_shown_as_stale_while_the_product_api_is_down() {
    let stores = Stores::start().await;
    let port = free_port().to_string();
    let api = stores.product_api(&port).await;
    let service = stores.cart_with(api.url(), &[]).await;
    let cart = CartOf::at(&service).await;
    api.put("/products/1", &json!({ "price_cents": 500, "stock": 50 })).await.expect(200);
    cart.put(1, 2).await.expect(201);
    cart.put(2, 1).await.expect(201);
    stores.until_price(&cart, 1, 500).await;
    stores.until_published().await;
    api.process.kill9().await.expect("it is killed");

    // The cached data are as recent as the events, and all events are applied.
    assert_eq!(cart.cached().await.json()["stale"], false);
    // While the product API is down, no event would report a change in its database. The response says so.
    eventually("the hit to be flagged", SOON, async || {
        cart.cached().await.source().ends_with("; detail=product-api-away")
    })
    .await;
    // Data that are not cached come from the last known snapshot.
    stores.redis(&["DEL", "cart:product:1", &cart.key()]).await;
    for _ in 0..3 {
        let view = cart.view().await.expect(200);
        assert_eq!(
            (view.source(), &view.json()["stale"]),
            ("fwd=miss; detail=not-stored", &json!(true)),
            "{}",
            view.text()
        );
        let line = cart.line(1).await;
        assert_eq!(
            (&line["stale"], &line["price_cents"], &line["line_total_cents"]),
            (&json!(true), &json!(500), &json!(1_000))
        );
        assert_eq!(cart.line(2).await["stale"], false, "this one is still in the cache");
    }
    service.get(&format!("/cache/stats/{}", cart.key())).await.problem(404, "not-found");
    service.get("/cache/stats/cart:product:1").await.problem(404, "not-found");
    let ready = service.readiness().await;
    assert_eq!((&ready["status"], &ready["checks"]["product-api"]["status"]), (&json!("degraded"), &json!("failing")));

    // A known product can be bought, an unknown one cannot be decided, and products in the cart can be removed.
    stores.redis(&["DEL", "cart:product:1"]).await;
    let other = CartOf::at(&service).await;
    let put = other.put(1, 1).await.expect(201).json();
    assert_eq!((&put["added_price_cents"], &put["stale"]), (&json!(500), &json!(true)));
    let unknown = other.put(3, 1).await;
    unknown.problem(503, "unavailable");
    assert_eq!(unknown.header("retry-after"), "1");
    cart.remove(2).await.expect(204);
    assert_eq!(cart.view().await.expect(200).json()["lines"].as_array().map(Vec::len), Some(1));

    // The product changes while the product API is down and cannot publish the change; then the product API returns.
    stores.shop_sql("UPDATE products SET price_cents = 600 WHERE id = 1").await;
    let _api = stores.product_api(&port).await;
    stores.until_price(&cart, 1, 600).await;
    eventually("an unflagged hit", SOON, async || cart.cached().await.source() == "hit").await;
    other.put(3, 1).await.expect(201);
    eventually("it to be ready again", SOON, async || {
        service.get("/readyz").await.json()["checks"]["product-api"]["status"] == "ok"
    })
    .await;
}

#[tokio::test]
async fn received_deletion_is_shown_while_the_product_api_is_down() {
    let (stores, fake, service) = started(2).await;
    let cart = CartOf::with(&service, &[1]).await;
    fake.set_unavailable(true);
    let seq = fake.publish(&stores.redis, "product.deleted", 1, 1).await;
    stores.until_applied("product:events", seq).await;
    let line = cart.line(1).await;
    assert_eq!((&line["availability"]["state"], &line["stale"]), (&json!("no_longer_sold"), &json!(true)));
    assert_eq!(line["name"], "Product 1");
    cart.put(1, 2).await.problem(404, "not-found");
}

#[tokio::test]
async fn line_without_product_data_is_unknown_until_the_product_api_responds() {
    let (stores, fake, service) = started(1).await;
    let cart = CartOf::at(&service).await;
    fake.set_unavailable(true);
    stores
        .sql("INSERT INTO cart_items (cart_id, product_id, quantity, added_price_cents) SELECT id, 1, 2, 90 FROM carts")
        .await;
    eventually("psql's line to be shown", SOON, async || cart.line(1).await["quantity"] == 2).await;
    let view = cart.view().await.expect(200).json();
    let line = &view["lines"][0];
    assert_eq!((&line["availability"]["state"], &line["name"]), (&json!("unknown"), &json!(null)));
    assert_eq!((&view["totals"]["total_cents"], &view["stale"]), (&json!(0), &json!(true)));
    fake.set_unavailable(false);
    stores.until_price(&cart, 1, 100).await;
}

/// A product API that hangs costs one reader the timeout occasionally, not every reader all the time.
#[tokio::test]
async fn hanging_product_api_opens_the_circuit_breaker() {
    let stores = Stores::start().await;
    let api = stores.product_api("0").await;
    let service = stores.cart_with(api.url(), &[("PRODUCT_API__TIMEOUT", "2s")]).await;
    let cart = CartOf::with(&service, &[1]).await;
    stores.until_published().await;
    api.process.pause();
    stores.redis(&["DEL", "cart:product:1", &cart.key()]).await;
    assert_eq!(cart.view().await.expect(200).json()["stale"], true);
    // None of these waits for the product API: while a request is in flight, the others fail at once.
    let views = futures_util::future::join_all((0..20).map(|_| cart.view())).await;
    assert!(views.into_iter().all(|view| view.expect(200).json()["stale"] == true));
    api.process.resume();
    eventually("fresh facts", SOON, async || cart.view().await.expect(200).json()["stale"] == false).await;
}

/// A stale view is not stored, so each view would send a request of its own.
#[tokio::test]
async fn unavailable_product_api_receives_few_requests() {
    let (stores, fake, service) = started(1).await;
    let cart = CartOf::with(&service, &[1]).await;
    stores.until_published().await;
    fake.set_unavailable(true);
    stores.redis(&["DEL", "cart:product:1", &cart.key()]).await;
    assert_eq!(cart.view().await.expect(200).json()["stale"], true);
    fake.asked();
    let began = Instant::now();
    for _ in 0..40 {
        assert_eq!(cart.view().await.expect(200).json()["stale"], true);
    }
    // The circuit breaker lets one request through each 500 ms.
    let allowed = 2 + began.elapsed().as_millis() / 500;
    let asked = fake.asked().len();
    assert!(asked as u128 <= allowed, "{asked} requests in {:?}", began.elapsed());
}

/// All of its products are in one request, so their loads need one permit of the bulkhead.
#[tokio::test]
async fn a_large_cart_is_shown_while_the_product_api_is_slow() {
    const PRODUCTS: i64 = 60;
    let (stores, fake) = Stores::with_fake(PRODUCTS).await;
    let settings = [("REDIS__MAX_LOADS", "4"), ("REDIS__LOAD_QUEUE", "2s"), ("PRODUCT_API__TIMEOUT", "5s")];
    let service = stores.cart_with(fake.url(), &settings).await;
    let cart = CartOf::at(&service).await;
    let fill = format!(
        "INSERT INTO cart_items (cart_id, product_id, quantity, added_price_cents)
         SELECT '{}', product, 1, 100 FROM generate_series(1, {PRODUCTS}) product",
        cart.id
    );
    stores.sql(&fill).await;
    fake.set_slow(Duration::from_millis(600));
    let view = cart.view().await.expect(200).json();
    let lines = view["lines"].as_array().expect("lines");
    assert_eq!((lines.len(), &view["stale"]), (60, &json!(false)));
    assert_eq!(fake.asked(), [60], "all are asked for at once");

    // A product API that is too slow is treated as unavailable: the last known data are shown, marked as stale.
    let expire = "for _, key in ipairs(redis.call('KEYS', 'cart:product:*')) do redis.call('UNLINK', key) end
                  redis.call('UNLINK', KEYS[1])";
    stores.redis(&["EVAL", expire, "1", &cart.key()]).await;
    fake.set_slow(Duration::from_secs(60));
    let view = cart.view().await.expect(200).json();
    assert_eq!((view["lines"].as_array().map(Vec::len), &view["stale"]), (Some(60), &json!(true)));
}
