//! The products on each list after every kind of write, while the relay is stopped: what the writer does not invalidate
//! itself stays as it is.

use diesel_async::{AsyncPgConnection, SimpleAsyncConnection};
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Api, STRATEGIES, Service, Stores, TestResponse};

const LISTS: [&str; 3] = ["/products/by-category/1", "/products/by-category/2", "/products/featured"];

/// Starts a product API whose lists stay fresh during a test.
async fn kept_fresh() -> (Stores, Api) {
    let stores = Stores::start().await;
    let api = stores.api_with(&[("LANES__SWR__SOFT_TTL", "1h"), ("LANES__SWR__HARD_TTL", "1h")]).await;
    (stores, api)
}

/// Prevents the relay from numbering events, and so from applying them, until it is dropped.
async fn stall_relay(stores: &Stores) -> AsyncPgConnection {
    stores.until_published().await;
    let mut session = stores.connect().await;
    let lock = "BEGIN; SELECT * FROM outbox_head FOR UPDATE";
    session.batch_execute(lock).await.expect("the relay holds it for a moment only");
    session
}

fn ids(list: &Value) -> Vec<i64> {
    let products = list["products"].as_array().expect("a list");
    products.iter().map(|product| product["id"].as_i64().expect("an id")).collect()
}

/// Loads every list into the cache.
async fn warm(api: &Api) {
    for list in LISTS {
        api.get(list).await.expect(200);
        assert_eq!(api.get(list).await.expect(200).source(), "hit", "{list}");
    }
}

/// Asserts that every list has exactly the products that the database has.
async fn assert_current(api: &Api, stores: &Stores, what: &str) {
    for (list, condition) in LISTS.into_iter().zip(["category_id = 1", "category_id = 2", "featured"]) {
        let rows = stores.sql(&format!("SELECT id FROM products WHERE {condition} ORDER BY id LIMIT 100")).await;
        let expected: Vec<i64> = rows.lines().map(|id| id.parse().expect("an id")).collect();
        let shown = api.get(list).await.expect(200);
        assert_eq!(ids(&shown.json()), expected, "{list} after {what}: {}", shown.source());
    }
}

async fn write(api: &Api, method: Method, path: &str, body: &Value) -> TestResponse {
    Service::send(api.request(method, path).json(body)).await
}

/// Sets the category and the flag of product 1 without invalidating a list.
async fn place(stores: &Stores, category: i64, featured: bool) {
    stores.sql(&format!("UPDATE products SET category_id = {category}, featured = {featured} WHERE id = 1")).await;
}

#[tokio::test]
async fn created_product_is_on_its_lists_before_the_response() {
    let (stores, api) = kept_fresh().await;
    let _stalled = stall_relay(&stores).await;
    for (category, featured) in [(1, false), (2, true)] {
        warm(&api).await;
        let new = json!({ "name": "New", "price_cents": 1, "category_id": category, "featured": featured });
        let created = api.post("/products", &new).await.expect(201);
        assert_eq!(created.source(), "fwd=method; detail=invalidated");
        assert_current(&api, &stores, "a creation").await;
    }
}

#[tokio::test]
async fn deleted_product_is_on_no_list_before_the_response() {
    let (stores, api) = kept_fresh().await;
    stores.sql("UPDATE products SET category_id = 1, featured = true WHERE id IN (1, 2)").await;
    stores.redis(&["FLUSHALL"]).await;
    let _stalled = stall_relay(&stores).await;
    for path in ["/products/explicit/1", "/products/2"] {
        warm(&api).await;
        api.delete(path).await.expect(204);
        assert_current(&api, &stores, path).await;
    }
}

/// Another category, the featured flag, and both at once, by every route.
#[tokio::test]
async fn changed_product_enters_and_leaves_lists_before_the_response() {
    let (stores, api) = kept_fresh().await;
    let routes = STRATEGIES.iter().map(|strategy| format!("/products/{strategy}/1"));
    for path in routes.chain(["/products/1".to_owned()]) {
        place(&stores, 1, false).await;
        stores.until_published().await;
        stores.redis(&["FLUSHALL"]).await;
        let stalled = stall_relay(&stores).await;
        for change in
            [json!({ "category_id": 2 }), json!({ "featured": true }), json!({ "category_id": 1, "featured": false })]
        {
            warm(&api).await;
            write(&api, Method::PUT, &path, &change).await.expect(200);
            assert_current(&api, &stores, &format!("PUT {path} {change}")).await;
        }
        drop(stalled);
    }
}

/// A list that a write does not change stays in the cache.
#[tokio::test]
async fn a_change_that_moves_no_product_leaves_the_featured_list_alone() {
    let (stores, api) = kept_fresh().await;
    let _stalled = stall_relay(&stores).await;
    for path in ["/products/explicit/1", "/products/tags/1", "/products/1"] {
        warm(&api).await;
        api.put(path, &json!({ "price_cents": 77 })).await.expect(200);
        assert_eq!(api.get("/products/featured").await.expect(200).source(), "hit", "{path}");
    }
}

#[tokio::test]
async fn renamed_category_is_shown_by_every_list_before_the_response() {
    let (stores, api) = kept_fresh().await;
    stores.sql("UPDATE products SET category_id = 1, featured = true WHERE id = 1").await;
    stores.until_published().await;
    stores.redis(&["FLUSHALL"]).await;
    let _stalled = stall_relay(&stores).await;
    warm(&api).await;
    let renamed = api.put("/categories/1", &json!({ "name": "Another name" })).await.expect(200);
    assert_eq!(renamed.source(), "fwd=method; detail=invalidated");
    for list in ["/products/by-category/1", "/products/featured"] {
        assert!(api.get(list).await.expect(200).text().contains("Another name"), "{list}");
    }
}

/// The relay receives writes made without this API, and also invalidates the featured list.
#[tokio::test]
async fn relay_invalidates_lists_that_a_product_enters_or_leaves_in_psql() {
    let (stores, api) = kept_fresh().await;
    let insert = "INSERT INTO products (id, name, price_cents, category_id, featured) VALUES (9000, 'New', 1, 2, true)";
    for change in [
        "UPDATE products SET featured = NOT featured WHERE id = 1",
        "UPDATE products SET category_id = 3 - category_id WHERE id = 1",
        insert,
        "DELETE FROM products WHERE id = 9000",
    ] {
        stores.sql("UPDATE products SET category_id = 1 WHERE id = 1 AND category_id > 2").await;
        stores.until_published().await;
        warm(&api).await;
        stores.sql(change).await;
        stores.until_published().await;
        assert_current(&api, &stores, change).await;
    }
}
