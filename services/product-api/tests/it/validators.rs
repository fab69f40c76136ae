//! An `ETag` identifies the representation: it changes with everything that the body shows, and never repeats.

use std::collections::HashMap;

use reqwest::Method;
use serde_json::json;

use crate::support::{Api, STRATEGIES, Service, Stores, TestResponse, started};

/// Returns the URL of every representation that shows product 1 or its category.
fn addresses() -> Vec<String> {
    let lanes = STRATEGIES.iter().map(|strategy| format!("/products/{strategy}/1"));
    let others = ["/products/1", "/products", "/products?ids=1,2", "/categories", "/products/featured"];
    lanes.chain(others.map(str::to_owned)).chain(["/products/by-category/1".to_owned()]).collect()
}

async fn get_if(api: &Api, path: &str, known: &str) -> TestResponse {
    Service::send(api.request(Method::GET, path).header("if-none-match", known)).await
}

/// Reads every URL, and requires that an `ETag` that was seen before belongs to the same bytes.
async fn record(api: &Api, stores: &Stores, seen: &mut HashMap<(String, String), Vec<u8>>) {
    stores.redis(&["FLUSHALL"]).await;
    for path in addresses() {
        for from in ["loaded", "cached"] {
            let answer = api.get(&path).await;
            if answer.status == 404 {
                continue;
            }
            let answer = answer.expect(200);
            let tag = answer.header("etag").to_owned();
            assert!(tag.len() > 2, "{path} ({from}) has no validator");
            let body = seen.entry((path.clone(), tag.clone())).or_insert_with(|| answer.body.clone());
            assert_eq!(body, &answer.body, "{path} ({from}) shows other bytes under the validator {tag}");
            get_if(api, &path, &tag).await.expect(304);
        }
    }
}

#[tokio::test]
async fn renamed_category_changes_every_validator_that_shows_its_name() {
    let (stores, api) = started().await;
    stores.sql("UPDATE products SET featured = true, category_id = 1 WHERE id = 1").await;
    stores.until_published().await;
    stores.redis(&["FLUSHALL"]).await;
    let mut known = Vec::new();
    for path in addresses() {
        known.push(api.get(&path).await.expect(200).header("etag").to_owned());
    }
    api.put("/categories/1", &json!({ "name": "Another name" })).await.expect(200);
    stores.until_published().await;
    // The caches that no event reaches keep their entries, which must not be taken for a fresh load.
    stores.redis(&["FLUSHALL"]).await;
    for (path, known) in addresses().iter().zip(&known) {
        let now = get_if(&api, path, known).await.expect(200);
        assert!(now.text().contains("Another name"), "{path}");
        assert_ne!(now.header("etag"), known, "{path}");
        assert_eq!(
            get_if(&api, path, now.header("etag")).await.expect(304).header("etag"),
            now.header("etag"),
            "{path}"
        );
    }
}

/// Changes of every shown column and of the category, a deletion, and a second creation under the same id and version.
#[tokio::test]
async fn representations_with_different_bytes_never_share_a_validator() {
    let (stores, api) = started().await;
    let mut seen = HashMap::new();
    record(&api, &stores, &mut seen).await;
    for change in [
        "UPDATE products SET name = 'Other' WHERE id = 1",
        "UPDATE products SET description = 'Other' WHERE id = 1",
        "UPDATE products SET price_cents = price_cents + 1 WHERE id = 1",
        "UPDATE products SET stock = stock + 1 WHERE id = 1",
        "UPDATE products SET featured = true WHERE id = 1",
        "UPDATE products SET category_id = 2 WHERE id = 1",
        "UPDATE products SET category_id = 1 WHERE id = 1",
        "UPDATE categories SET name = 'Other' WHERE id = 1",
        "UPDATE categories SET description = 'Other' WHERE id = 1",
        "DELETE FROM products WHERE id = 1",
        "INSERT INTO products (id, name, price_cents, category_id) VALUES (1, 'New', 1, 1)",
        "DELETE FROM products WHERE id = 1",
        "INSERT INTO products (id, name, price_cents, category_id) VALUES (1, 'New', 1, 1)",
    ] {
        stores.sql(change).await;
        stores.until_published().await;
        record(&api, &stores, &mut seen).await;
    }
}

/// The first version of another row is not the first version of the row that the client has read.
#[tokio::test]
async fn a_row_that_was_deleted_and_created_again_has_another_validator() {
    let (stores, api) = started().await;
    let row = "INSERT INTO products (id, name, price_cents, category_id) VALUES (9000, 'Twice', 1, 1)";
    stores.sql(row).await;
    let first = api.get("/products/9000").await.expect(200);
    stores.sql("DELETE FROM products WHERE id = 9000").await;
    stores.sql(row).await;
    let second = api.get("/products/9000").await.expect(200);
    assert_eq!((first.version(), second.version()), (1, 1));
    assert_ne!(first.header("etag"), second.header("etag"));
    for method in [Method::PUT, Method::DELETE] {
        let request = api.request(method, "/products/9000").header("if-match", first.header("etag"));
        Service::send(request.json(&json!({ "stock": 7 }))).await.problem(412, "precondition-failed");
    }
    let request = api.request(Method::PUT, "/products/9000").header("if-match", second.header("etag"));
    Service::send(request.json(&json!({ "stock": 7 }))).await.expect(200);
}
