//! The catalogue without a cache: create, read, change and delete products, and read them page by page.

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};
use testkit::http::Service;

use crate::support::started;

#[tokio::test]
async fn a_product_is_created_read_changed_and_deleted() {
    let (_stores, api) = started().await;
    let new = json!({ "name": "Kettle", "description": "It whistles.", "price_cents": 3450, "stock": 4, "category_id": 2, "featured": true });
    let created = api.post("/products", &new).await.expect(201);
    let product = created.json();
    let path = created.header("location").to_owned();
    assert_eq!(path, format!("/products/{}", product["id"]));
    for field in ["name", "description", "price_cents", "stock", "featured"] {
        assert_eq!(product[field], new[field], "{field}");
    }
    assert_eq!((&product["category"]["id"], &product["version"]), (&json!(2), &json!(1)));
    assert!(product["created_at"].as_str().is_some_and(|at| at.ends_with('Z')), "{product}");
    assert_eq!(api.get(&path).await.expect(200).json(), product);

    let changed = api.put(&path, &json!({ "stock": 3 })).await.expect(200).json();
    assert_eq!((&changed["stock"], &changed["version"]), (&json!(3), &json!(2)));
    for field in ["name", "description", "price_cents", "featured", "category", "created_at"] {
        assert_eq!(changed[field], product[field], "what is left out stays: {field}");
    }
    api.delete(&path).await.expect(204);
    api.get(&path).await.problem(404, "not-found");
    api.delete(&path).await.problem(404, "not-found");
}

#[tokio::test]
async fn product_creation_needs_only_the_required_fields() {
    let (_stores, api) = started().await;
    let product =
        api.post("/products", &json!({ "name": "x", "price_cents": 0, "category_id": 1 })).await.expect(201).json();
    assert_eq!(
        (&product["description"], &product["stock"], &product["featured"]),
        (&json!(""), &json!(0), &json!(false))
    );
}

/// A version identifies a content, so a write that changes nothing keeps the version.
#[tokio::test]
async fn a_write_that_changes_nothing_keeps_the_version() {
    let (_stores, api) = started().await;
    let product = api.get("/products/1").await.expect(200).json();
    for change in [json!({}), json!({ "name": product["name"], "stock": product["stock"] })] {
        assert_eq!(api.put("/products/1", &change).await.expect(200).json(), product);
        assert_eq!(api.put("/products/explicit/1", &change).await.expect(200).json(), product);
    }
    let category = api.get("/categories").await.expect(200).json()[0].clone();
    assert_eq!(api.put("/categories/1", &json!({})).await.expect(200).json(), category);
}

#[tokio::test]
async fn the_pages_together_hold_every_product_once() {
    let (_stores, api) = started().await;
    api.delete("/products/50").await.expect(204);
    let (mut ids, mut path, mut pages) = (Vec::new(), "/products?limit=40".to_owned(), 0);
    loop {
        let page = api.get(&path).await.expect(200).json();
        let products = page["products"].as_array().expect("a list");
        assert!(products.len() <= 40);
        ids.extend(products.iter().map(|product| product["id"].as_i64().expect("an id")));
        pages += 1;
        match page["next_cursor"].as_str() {
            Some(cursor) => path = format!("/products?limit=40&cursor={cursor}"),
            None => break,
        }
    }
    assert_eq!((pages, ids), (4, (1..=130).filter(|id| *id != 50).collect()));
    assert_eq!(api.get("/products").await.expect(200).json()["products"].as_array().map(Vec::len), Some(50));
    let past = api.get("/products?cursor=130").await.expect(200).json();
    assert_eq!(past, json!({ "products": [] }));
}

/// A control character takes six bytes in JSON.
#[tokio::test]
async fn page_of_very_long_texts_ends_early() {
    let (stores, api) = started().await;
    stores.sql("UPDATE products SET description = repeat(chr(1), 5000)").await;
    let page = api.get("/products?limit=500").await.expect(200);
    assert!((1 << 19..2 << 20).contains(&page.text().len()), "{} bytes", page.text().len());
    let first = page.json()["products"].as_array().map(Vec::len).expect("a list");
    let cursor = page.json()["next_cursor"].as_str().expect("a next page").to_owned();
    let next = api.get(&format!("/products?limit=500&cursor={cursor}")).await.expect(200).json();
    assert_eq!(next["products"][0]["id"].as_i64().map(|id| id as usize), Some(first + 1));
}

#[tokio::test]
async fn the_categories_are_listed_and_a_change_counts() {
    let (_stores, api) = started().await;
    let categories = api.get("/categories").await.expect(200).json();
    let categories = categories.as_array().expect("a list");
    assert_eq!(categories.len(), 12);
    assert!(categories.iter().all(|category| category["name"].is_string() && category["version"] == 1));
    let changed = api.put("/categories/3", &json!({ "description": "New words." })).await.expect(200).json();
    assert_eq!((&changed["description"], &changed["version"]), (&json!("New words."), &json!(2)));
    assert_eq!(changed["name"], categories[2]["name"]);
    let shown: Value = api.get("/categories").await.expect(200).json();
    assert_eq!(shown[2], changed);
}

/// The catalogue uses no cache and therefore works without Redis.
#[tokio::test]
async fn the_catalogue_neither_reads_nor_fills_the_cache() {
    let (stores, api) = started().await;
    for path in ["/products/1", "/products?limit=5", "/categories"] {
        api.get(path).await.expect(200);
    }
    assert_eq!(stores.redis(&["EXISTS", "product:explicit:1", "product:ttl:1"]).await, "0");
    assert_eq!(stores.redis(&["EVAL", "return #redis.call('KEYS', 'product:[a-z]*:*')", "0"]).await, "0");
}

#[tokio::test]
async fn if_match_lets_one_of_many_category_changes_and_deletes_through() {
    let (_stores, api) = started().await;
    let tag = api.put("/categories/1", &json!({})).await.expect(200).header("etag").to_owned();
    let changes = (0..8).map(|writer| {
        let request = api.request(Method::PUT, "/categories/1").header("if-match", &tag);
        Service::send(request.json(&json!({ "description": format!("By writer {writer}.") })))
    });
    let statuses: Vec<u16> = join_all(changes).await.iter().map(|answer| answer.status).collect();
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 1, "{statuses:?}");
    assert_eq!(statuses.iter().filter(|status| **status == 412).count(), 7, "{statuses:?}");

    let tag = api.get("/products/7").await.expect(200).header("etag").to_owned();
    let deletes = (0..8).map(|_| Service::send(api.request(Method::DELETE, "/products/7").header("if-match", &tag)));
    let statuses: Vec<u16> = join_all(deletes).await.iter().map(|answer| answer.status).collect();
    assert_eq!(statuses.iter().filter(|status| **status == 204).count(), 1, "{statuses:?}");
    assert!(statuses.iter().all(|status| [204, 404, 412].contains(status)), "{statuses:?}");
}
