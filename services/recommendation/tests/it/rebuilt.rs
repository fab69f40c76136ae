//! Events about carts that neither the stream nor the log has any more: the service reads the baskets from the cart
//! service.

use std::collections::BTreeMap;

use contract::cart_reference;
use serde_json::json;
use testkit::eventually;

use crate::support::{SOON, Service, Stores, until_list, with_product_api};

/// Creates a cart with these products, and returns its id.
async fn cart_with(cart: &Service, products: &[i64]) -> String {
    let created = cart.post("/carts", &json!({})).await.expect(201).json();
    let id = created["id"].as_str().expect("an id").to_owned();
    for product in products {
        cart.put(&format!("/carts/{id}/items/{product}"), &json!({ "quantity": 2 })).await.expect(201);
    }
    id
}

/// Waits until the baskets equal the carts.
async fn until_known(stores: &Stores, carts: &BTreeMap<String, Vec<i64>>) {
    let mut expected: Vec<String> = Vec::new();
    for (id, products) in carts {
        let reference = cart_reference(id.parse().expect("a UUID"));
        expected.extend(products.iter().map(|product| format!("{reference}|{product}|2")));
    }
    expected.sort();
    let known = "SELECT cart_id, product_id, quantity FROM basket_items WHERE quantity > 0 ORDER BY 1, 2";
    eventually("the baskets to be those of the carts", SOON, async || {
        let mut known: Vec<String> = stores.sql(known).await.lines().map(str::to_owned).collect();
        known.sort();
        known == expected
    })
    .await;
}

/// Removes all events about carts that were published so far from the stream and the log.
async fn lose_events(stores: &Stores) {
    eventually("everything to be announced", SOON, async || {
        stores.cart_sql("SELECT count(*) FROM outbox WHERE done_at IS NULL").await == "0"
    })
    .await;
    stores.cart_sql("DELETE FROM outbox").await;
    stores.redis(&["DEL", "cart:events"]).await;
}

async fn until_complete(stores: &Stores, service: &Service) {
    eventually("the baskets to be complete", SOON, async || {
        let ready = service.readiness().await;
        ready["checks"]["baskets"]["status"] == "ok"
            && stores.sql("SELECT bool_or(incomplete) FROM streams").await == "f"
    })
    .await;
}

#[tokio::test]
async fn new_recommendation_reads_the_baskets_of_an_existing_cart_service() {
    let (stores, api) = with_product_api().await;
    let cart = stores.cart(api.url(), "0").await;
    let mut carts = BTreeMap::new();
    for products in [&[1, 2][..], &[3], &[]] {
        carts.insert(cart_with(&cart, products).await, products.to_vec());
    }
    lose_events(&stores).await;
    let service = stores.start_service(api.url(), &[("CART__URL", cart.url())]).await;
    until_known(&stores, &carts).await;
    until_complete(&stores, &service).await;
    // The service then applies the next event.
    carts.insert(cart_with(&cart, &[4]).await, vec![4]);
    until_known(&stores, &carts).await;
}

#[tokio::test]
async fn baskets_are_correct_again_after_events_were_lost_during_downtime() {
    let (stores, api) = with_product_api().await;
    let cart_port = testkit::free_port().to_string();
    let cart = stores.cart(api.url(), &cart_port).await;
    let settings = [("CART__URL", cart.url())];
    let service = stores.start_service(api.url(), &settings).await;
    let mut carts = BTreeMap::new();
    for products in [&[1, 2][..], &[1, 2], &[1, 2, 3], &[5]] {
        carts.insert(cart_with(&cart, products).await, products.to_vec());
    }
    until_known(&stores, &carts).await;
    until_complete(&stores, &service).await;
    service.process.kill9().await.expect("it is killed");

    // Lines are added and removed, one cart is new, and one is emptied. No event of these changes reaches the service.
    let ids: Vec<String> = carts.keys().cloned().collect();
    for (id, product) in [(&ids[0], 7), (&ids[1], 8)] {
        cart.put(&format!("/carts/{id}/items/{product}"), &json!({ "quantity": 2 })).await.expect(201);
        carts.get_mut(id).expect("a cart").push(product);
    }
    let emptied = &ids[2];
    for product in std::mem::take(carts.get_mut(emptied).expect("a cart")) {
        cart.delete(&format!("/carts/{emptied}/items/{product}")).await.expect(204);
    }
    carts.insert(cart_with(&cart, &[9, 10]).await, vec![9, 10]);
    lose_events(&stores).await;
    let url = cart.url().to_owned();
    // The baskets are known to be incomplete even while the cart service is down.
    cart.process.kill9().await.expect("it is killed");
    let service = stores.start_service(api.url(), &[("CART__URL", &url)]).await;
    let path = format!("/recommendations?cart={}", ids[0]);
    until_list(&service, &path, "the baskets to be stale", |list| list["baskets"]["stale"] == true).await;
    eventually("readiness to say so", SOON, async || {
        let ready = service.readiness().await;
        ready["status"] == "degraded" && ready["checks"]["baskets"]["status"] == "failing"
    })
    .await;
    let _cart = stores.cart(api.url(), &cart_port).await;
    until_known(&stores, &carts).await;
    until_complete(&stores, &service).await;
    until_list(&service, &path, "the baskets to be current", |list| list["baskets"]["stale"] == false).await;
}
