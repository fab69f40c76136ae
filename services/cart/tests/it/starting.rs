//! The service starts in any order: without the product API, without Redis, before its Postgres.

use serde_json::json;
use testkit::{eventually, free_port};

use crate::support::{CartOf, SOON, Stores, started};

#[tokio::test]
async fn cart_starts_without_product_api_and_redis_and_uses_both_later() {
    let stores = Stores::start().await;
    let port = free_port().to_string();
    stores.redis.kill().await.expect("it is killed");
    let settings = [("REDIS__COMMAND_TIMEOUT", "200ms")];
    let service = stores.cart_with(&format!("http://127.0.0.1:{port}"), &settings).await;
    let cart = CartOf::at(&service).await;
    assert_eq!(cart.view().await.expect(200).json()["lines"], json!([]));
    cart.put(1, 1).await.problem(503, "unavailable");
    let checks = service.readiness().await;
    assert_eq!(checks["status"], "degraded", "{checks}");
    for (check, need, status) in [
        ("postgres", "required", "ok"),
        ("redis", "preferred", "failing"),
        ("product-api", "preferred", "failing"),
        ("events", "preferred", "failing"),
    ] {
        let found = (&checks["checks"][check]["need"], &checks["checks"][check]["status"]);
        assert_eq!(found, (&json!(need), &json!(status)), "{check} in {checks}");
    }
    stores.redis.restart().await.expect("it starts");
    let _api = stores.product_api(&port).await;
    eventually("it to be ready", SOON, async || service.get("/readyz").await.json()["status"] == "ready").await;
    cart.put(1, 1).await.expect(201);
    cart.cached().await;
    stores.shop_sql("UPDATE products SET price_cents = 4711 WHERE id = 1").await;
    stores.until_price(&cart, 1, 4711).await;
}

#[tokio::test]
async fn changes_during_downtime_are_shown_from_the_first_request_on() {
    let (stores, fake, service) = started(1).await;
    let cart = stores.cached_cart(&service, &[1]).await;
    let id = cart.id.clone();
    service.stop().await;
    fake.set_product(1, 2, &json!({}));
    fake.publish(&stores.redis, "product.updated", 1, 2).await;
    let service = stores.cart(&fake).await;
    let cart = CartOf { service: &service, id };
    assert_eq!(cart.line(1).await["product_version"], 2);
}

#[tokio::test]
async fn carts_start_concurrently_on_an_empty_database_and_stop_cleanly() {
    let (stores, fake) = Stores::with_fake(1).await;
    let (a, b, c) = tokio::join!(stores.cart(&fake), stores.cart(&fake), stores.cart(&fake));
    let cart = CartOf::with(&a, &[1]).await;
    cart.through(&b).view().await.expect(200);
    for service in [a, b, c] {
        let exit = service.stop().await;
        assert_eq!(exit.code, 0);
        assert!(exit.took < SOON, "{exit:?}");
    }
}
