//! The service starts in any order with the product API, Redis and the cart.

use serde_json::json;
use tempfile::NamedTempFile;
use testkit::{eventually, free_port};
use uuid::Uuid;

use crate::support::{Carts, SOON, Service, Stores, ids, started, until_both_are_read, with_product_api};

#[tokio::test]
async fn recommendation_starts_without_the_product_api_and_waits_for_a_copy() {
    let stores = Stores::start().await;
    let port = free_port().to_string();
    let service =
        Service::start_without_waiting(&stores.service_command_with(&format!("http://127.0.0.1:{port}"), &[])).await;
    let unready = service.get("/readyz").await.expect(503).json();
    assert_eq!(unready["checks"]["catalogue"]["status"], "failing", "{unready}");
    assert!(unready["checks"]["catalogue"]["detail"].as_str().unwrap().contains("product API"), "{unready}");
    service.get("/livez").await.expect(200);
    service.get("/recommendations/1").await.problem(503, "unavailable");
    // Events about carts are already applied.
    Carts::learned(&stores).await;
    let _api = stores.product_api(&port).await;
    service.ready().await;
    let list = service.get("/recommendations/1").await.expect(200).json();
    assert_eq!(ids(&list, "bought_together"), [14]);
    assert!(!ids(&list, "similar").is_empty());
}

#[tokio::test]
async fn recommendation_starts_without_redis_and_uses_it_when_it_returns() {
    let (stores, api) = with_product_api().await;
    stores.redis.kill().await.expect("it is killed");
    let service = stores.start_service(api.url(), &[("REDIS__COMMAND_TIMEOUT", "200ms")]).await;
    let answer = service.get("/recommendations/1").await.expect(200);
    assert_eq!(answer.source(), "fwd=bypass; detail=redis-down");
    stores.redis.restart().await.expect("it starts");
    // It stays degraded: there is no cart service to read the baskets from.
    until_both_are_read(&service).await;
    assert_eq!(service.readiness().await["checks"]["redis"]["status"], "ok");
    eventually("hits", SOON, async || service.get("/recommendations/1").await.expect(200).source() == "hit").await;
}

#[tokio::test]
async fn changes_during_downtime_show_after_the_start() {
    let (stores, api, service) = started().await;
    service.get("/recommendations/1").await.expect(200);
    service.stop().await;
    stores.shop_sql("UPDATE products SET stock = 0 WHERE id = 25").await;
    let service = stores.start_service(api.url(), &[]).await;
    eventually("what is sold out to be gone", SOON, async || {
        !ids(&service.get("/recommendations/1").await.expect(200).json(), "similar").contains(&25)
    })
    .await;
}

#[tokio::test]
async fn replicas_start_at_once_on_an_empty_database_and_stop_cleanly() {
    let (stores, api) = with_product_api().await;
    let start = || stores.start_service(api.url(), &[]);
    let (a, b, c) = tokio::join!(start(), start(), start());
    assert_eq!(stores.sql("SELECT count(*) FROM products WHERE NOT deleted").await, "130");
    for service in [a, b, c] {
        service.get("/recommendations/1").await.expect(200);
        let exit = service.stop().await;
        assert_eq!(exit.code, 0);
        assert!(exit.took < SOON, "{exit:?}");
    }
}

/// Both logs that it reads are operations routes, which require the token.
#[tokio::test]
async fn service_verifies_its_copies_with_the_operations_token() {
    let stores = Stores::start().await;
    let file = NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), "0123456789abcdef0123456789abcdef").expect("it is written");
    let token = ("OPERATIONS__TOKEN_FILE", file.path().to_str().expect("a plain path"));
    let api = stores.product_api_with(&[token]).await;
    api.get("/events?after=0").await.problem(401, "unauthorized");
    let cart = stores.cart_with(api.url(), &[token]).await;
    let service = stores.start_service(api.url(), &[("CART__URL", cart.url()), token]).await;
    eventually("verified copies", SOON, async || {
        let list = service.get(&format!("/recommendations?cart={}", Uuid::new_v4())).await.expect(200).json();
        (&list["catalogue"]["stale"], &list["baskets"]["stale"]) == (&json!(false), &json!(false))
    })
    .await;
}
