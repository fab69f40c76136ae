//! The routes of a cart: create, put, change, remove; the view and its headers.

use reqwest::Method;
use serde_json::json;

use crate::support::{CartOf, Service, started};

#[tokio::test]
async fn a_new_cart_is_empty_and_at_its_location() {
    let (_stores, _fake, service) = started(1).await;
    let created = service.post("/carts", &json!({})).await.expect(201);
    let id = created.json()["id"].as_str().expect("an id").to_owned();
    assert_eq!(created.header("location"), format!("/carts/{id}"));
    let view = service.get(&format!("/carts/{id}")).await.expect(200).json();
    assert_eq!((&view["id"], &view["lines"], &view["stale"]), (&json!(id), &json!([]), &json!(false)));
    assert_eq!(view["totals"], json!({ "lines": 0, "pieces": 0, "total_cents": 0 }));
    let other = service.post("/carts", &json!({})).await.expect(201).json();
    assert_ne!(other["id"], json!(id));
}

#[tokio::test]
async fn view_shows_prices_and_totals_of_the_lines() {
    let (_stores, _fake, service) = started(3).await;
    let cart = CartOf::at(&service).await;
    let put = cart.put(2, 3).await.expect(201);
    let line = json!({ "cart_id": cart.id, "product_id": 2, "quantity": 3, "added_price_cents": 200, "version": 1, "stale": false });
    assert_eq!((put.json(), put.header("etag"), put.source()), (line, "\"1\"", "fwd=method; detail=invalidated"));
    cart.put(1, 1).await.expect(201);

    let view = cart.view().await.expect(200);
    assert!(view.source().starts_with("fwd=miss"), "{}", view.source());
    let second = json!({
        "product_id": 2, "name": "Product 2", "quantity": 3, "price_cents": 200, "added_price_cents": 200,
        "price_changed": null, "availability": { "state": "in_stock" }, "buyable": 3, "line_total_cents": 600, "product_version": 1, "version": 1,
        "stale": false,
    });
    assert_eq!((&view.json()["lines"][0]["product_id"], &view.json()["lines"][1]), (&json!(1), &second));
    assert_eq!(view.json()["totals"], json!({ "lines": 2, "pieces": 4, "total_cents": 700 }));

    let again = cart.cached().await;
    assert_eq!(again.json(), view.json());
    let tag = again.header("etag").to_owned();
    let conditional = service.request(Method::GET, &cart.path()).header("if-none-match", &tag);
    assert_eq!(Service::send(conditional).await.expect(304).header("etag"), tag);
}

#[tokio::test]
async fn a_line_keeps_its_version_and_its_price_until_it_really_changes() {
    let (stores, fake, service) = started(1).await;
    let cart = CartOf::at(&service).await;
    assert_eq!(cart.put(1, 2).await.expect(201).version(), 1);
    assert_eq!(cart.put(1, 2).await.expect(200).version(), 1, "the same again is no change");
    assert_eq!(cart.put(1, 5).await.expect(200).version(), 2);
    assert_eq!(cart.line(1).await["quantity"], 5);
    // The product becomes dearer: the line keeps the price at which it was put in, until it is put in again.
    fake.set_product(1, 2, &json!({ "price_cents": 150 }));
    stores.redis(&["DEL", "cart:product:1"]).await;
    let put = cart.put(1, 6).await.expect(200).json();
    assert_eq!((&put["added_price_cents"], &put["version"]), (&json!(100), &json!(3)));
    cart.remove(1).await.expect(204);
    let put = cart.put(1, 6).await.expect(201).json();
    assert_eq!((&put["added_price_cents"], &put["version"]), (&json!(150), &json!(5)), "the removal was version 4");
}

#[tokio::test]
async fn a_removal_may_be_repeated_and_needs_a_cart() {
    let (stores, _fake, service) = started(2).await;
    let cart = CartOf::with(&service, &[1, 2]).await;
    cart.view().await.expect(200);
    for _ in 0..2 {
        assert_eq!(cart.remove(1).await.expect(204).source(), "fwd=method; detail=invalidated");
        let view = cart.view().await.expect(200).json();
        assert_eq!(view["lines"].as_array().map(Vec::len), Some(1));
        assert_eq!(view["totals"]["total_cents"], 200);
    }
    cart.remove(4711).await.expect(204);
    assert_eq!(stores.sql("SELECT string_agg(version::text, ',' ORDER BY product_id) FROM cart_items").await, "2,1");
    let absent = "/carts/67e55044-10b1-426f-9247-bb680e5fe0c8";
    service.delete(&format!("{absent}/items/1")).await.problem(404, "not-found");
    service.put(&format!("{absent}/items/1"), &json!({ "quantity": 1 })).await.problem(404, "not-found");
    service.get(absent).await.problem(404, "not-found");
    let held = service.get("/cache/entries").await.expect(200).text();
    assert!(!held.contains("67e55044"), "that there is no such cart is not remembered: {held}");
}

#[tokio::test]
async fn product_that_is_not_sold_cannot_be_put_into_a_cart() {
    let (stores, fake, service) = started(1).await;
    let cart = CartOf::at(&service).await;
    cart.put(2, 1).await.problem(404, "not-found");
    assert_eq!(stores.sql("SELECT count(*) FROM cart_items").await, "0");
    // After the product is created, the same request succeeds.
    fake.set_product(2, 1, &json!({}));
    let seq = fake.publish(&stores.redis, "product.created", 2, 1).await;
    stores.until_applied("product:events", seq).await;
    cart.put(2, 1).await.expect(201);
}

#[tokio::test]
async fn a_full_cart_takes_no_other_product_but_more_of_what_it_holds() {
    let (stores, fake, service) = started(101).await;
    let cart = CartOf::with(&service, &[1]).await;
    let fill = "INSERT INTO cart_items (cart_id, product_id, quantity, added_price_cents)
                SELECT id, n, 1, 100 * n FROM carts, generate_series(2, 100) n";
    stores.sql(fill).await;
    cart.put(101, 1).await.problem(409, "conflict");
    cart.put(100, 2).await.expect(200);
    fake.asked();
    let view = cart.view().await.expect(200).json();
    assert_eq!((view["lines"].as_array().map(Vec::len), &view["stale"]), (Some(100), &json!(false)));
    assert_eq!(fake.asked(), [98], "1 and 100 are in the cache, the others are asked for at once");
    cart.remove(7).await.expect(204);
    cart.put(101, 1).await.expect(201);
}

#[tokio::test]
async fn writes_to_one_cart_leave_the_views_of_others_alone() {
    let (stores, _fake, service) = started(1).await;
    let (mine, yours) = (CartOf::at(&service).await, CartOf::at(&service).await);
    mine.put(1, 1).await.expect(201);
    yours.put(1, 1).await.expect(201);
    stores.until_published().await;
    yours.cached().await;
    mine.put(1, 2).await.expect(200);
    stores.until_published().await;
    assert!(yours.view().await.expect(200).is_hit());
}
