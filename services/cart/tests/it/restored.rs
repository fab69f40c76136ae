//! A database is restored from an older backup while Redis stays up: the product API's, or the cart's own.

use serde_json::json;
use testkit::{eventually, free_port};

use crate::support::{CartOf, SOON, Stores};

/// Returns the SQL that removes the last `count` events, with all consequences for the log alone.
fn taken_back(count: i64) -> [String; 2] {
    [
        format!("DELETE FROM outbox WHERE seq > (SELECT seq - {count} FROM outbox_head)"),
        format!("UPDATE outbox_head SET seq = seq - {count}"),
    ]
}

#[tokio::test]
async fn cart_shows_the_prices_of_a_restored_catalogue() {
    for changed in [4, 6] {
        let stores = Stores::start().await;
        let port = free_port().to_string();
        let api = stores.product_api(&port).await;
        let service = stores.cart_with(api.url(), &[]).await;
        let cart = CartOf::at(&service).await;
        // Version 6 of product 1 is lost with the events that reported it.
        for cents in [501, 502, 503, 504, 505] {
            api.put("/products/1", &json!({ "price_cents": cents })).await.expect(200);
        }
        for product in 1..=changed {
            cart.put(product, 1).await;
        }
        stores.until_price(&cart, 1, 505).await;
        cart.cached().await;
        api.process.kill9().await.expect("it is killed");
        for sql in taken_back(5) {
            stores.shop_sql(&sql).await;
        }
        stores
            .shop_sql(
                "ALTER TABLE products DISABLE TRIGGER USER; UPDATE products SET version = 1 WHERE id = 1;
            ALTER TABLE products ENABLE TRIGGER USER",
            )
            .await;
        stores.shop_sql(&format!("UPDATE products SET price_cents = 700 + id, stock = 9 WHERE id <= {changed}")).await;
        let _api = stores.product_api(&port).await;
        for product in 1..=changed {
            stores.until_price(&cart, product, 700 + product).await;
        }
        eventually("an unflagged hit", SOON, async || cart.cached().await.source() == "hit").await;
        assert!(service.metric("events_resyncs_total", "").await >= 2.0, "it noticed");
    }
}

#[tokio::test]
async fn cart_shows_the_lines_of_its_own_restored_database() {
    let stores = Stores::start().await;
    let (_api, service) = stores.both().await;
    let cart = CartOf::with(&service, &[1]).await;
    stores.until_published().await;
    cart.put(2, 2).await.expect(201);
    cart.put(3, 3).await.expect(201);
    cart.cached().await;
    stores.until_published().await;
    service.process.kill9().await.expect("it is killed");
    // The last two lines are from after the backup.
    stores
        .sql(
            "ALTER TABLE cart_items DISABLE TRIGGER USER; DELETE FROM cart_items WHERE product_id > 1;
            ALTER TABLE cart_items ENABLE TRIGGER USER",
        )
        .await;
    for sql in taken_back(2) {
        stores.sql(&sql).await;
    }
    let service = stores.cart_with(_api.url(), &[]).await;
    let cart = cart.through(&service);
    eventually("the lines that are left", SOON, async || {
        cart.view().await.expect(200).json()["lines"].as_array().map(Vec::len) == Some(1)
    })
    .await;
    cart.put(4, 1).await.expect(201);
    stores.until_published().await;
    let stream = stores.redis(&["XRANGE", "cart:events", "-", "+"]).await;
    assert!(!stream.contains("\"product_id\": 3") && stream.contains("\"product_id\": 4"), "{stream}");
}
