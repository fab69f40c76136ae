//! The effect of a change made in psql on the caches that depend on events: only the outbox reports it to this service.

use serde_json::json;
use testkit::eventually;

use crate::support::{SOON, Stores, started, started_and_published};

#[tokio::test]
async fn change_in_psql_removes_the_product_and_the_lists_that_show_it() {
    let stores = Stores::start().await;
    let (api, other) = tokio::join!(stores.api(), stores.api());
    let shelf: i64 = stores.sql("SELECT category_id FROM products WHERE id = 1").await.parse().expect("an id");
    let elsewhere = 1 + shelf % 12;
    let [here, there] = [shelf, elsewhere].map(|id| format!("/products/by-category/{id}"));
    for (sql, stock, list, is_listed) in [
        ("UPDATE products SET stock = 501 WHERE id = 1".to_owned(), 501, &here, true),
        (format!("UPDATE products SET stock = 502, category_id = {elsewhere} WHERE id = 1"), 502, &there, true),
        (format!("UPDATE products SET stock = 503, category_id = {shelf} WHERE id = 1"), 503, &there, false),
    ] {
        for path in ["/products/production/1", "/products/tags/1", "/products/events/1", &here, &there] {
            api.get(path).await.expect(200);
            other.get(path).await.expect(200);
        }
        stores.sql(&sql).await;
        stores.until_published().await;
        for api in [&api, &other] {
            for path in ["/products/production/1", "/products/tags/1"] {
                assert_eq!(api.get(path).await.expect(200).json()["stock"], stock, "{path}");
            }
            let list = api.get(list).await.expect(200).json();
            let shown = list["products"].as_array().expect("a list").iter().find(|product| product["id"] == 1);
            assert_eq!(shown.map(|product| &product["stock"]), is_listed.then_some(&json!(stock)), "{list}");
            eventually("the channel", SOON, async || {
                api.get("/products/events/1").await.expect(200).json()["stock"] == stock
            })
            .await;
        }
    }
    // The caches without events show the old value, as their strategies allow.
    api.get("/products/explicit/2").await.expect(200);
    stores.sql("UPDATE products SET stock = 777 WHERE id = 2").await;
    stores.until_published().await;
    assert_eq!(api.get("/products/explicit/2").await.expect(200).version(), 1);
}

#[tokio::test]
async fn category_renamed_or_created_in_psql_is_shown_by_the_lists() {
    let (stores, api) = started().await;
    stores.sql("UPDATE products SET category_id = 1 WHERE id = 1").await;
    stores.until_published().await;
    let paths = ["/products/production/1", "/products/tags/1", "/products/events/1", "/products/writethrough/1"];
    for path in paths {
        api.get(path).await.expect(200);
    }
    api.get("/products/by-category/1").await.expect(200);
    api.get("/products/by-category/900").await.problem(404, "not-found");
    stores.sql("UPDATE categories SET name = 'Renamed' WHERE id = 1").await;
    stores.sql("INSERT INTO categories (id, name) VALUES (900, 'New')").await;
    stores.until_published().await;
    for path in &paths[..3] {
        assert_eq!(api.get(path).await.expect(200).json()["category"]["name"], "Renamed", "{path}");
    }
    assert_eq!(api.get("/products/by-category/1").await.expect(200).json()["category"]["name"], "Renamed");
    assert_eq!(api.get("/products/by-category/900").await.expect(200).json()["category"]["name"], "New");
    stores.sql("DELETE FROM categories WHERE id = 900").await;
    stores.until_published().await;
    api.get("/products/by-category/900").await.problem(404, "not-found");
}

/// An absent entry is removed when psql creates the product, and a product that psql deletes disappears.
#[tokio::test]
async fn a_product_that_psql_creates_or_deletes_is_found_or_gone() {
    let (stores, api) = started_and_published().await;
    for strategy in ["production", "tags", "events", "explicit"] {
        api.get(&format!("/products/{strategy}/9001")).await.problem(404, "not-found");
        api.get(&format!("/products/{strategy}/1")).await.expect(200);
    }
    stores.sql("INSERT INTO products (id, name, price_cents, category_id) VALUES (9001, 'x', 1, 1)").await;
    stores.sql("DELETE FROM products WHERE id = 1").await;
    stores.until_published().await;
    for strategy in ["production", "tags", "events", "explicit"] {
        api.get(&format!("/products/{strategy}/9001")).await.expect(200);
    }
    for strategy in ["production", "tags"] {
        api.get(&format!("/products/{strategy}/1")).await.problem(404, "not-found");
    }
}

/// The entries are removed before the stream receives the event: a subscriber that reads after an event gets no older
/// value.
#[tokio::test]
async fn read_after_a_received_event_returns_that_version() {
    let stores = Stores::start().await;
    let (api, other) = tokio::join!(stores.api(), stores.api());
    stores.until_published().await;
    let mut channel = stores.subscribe().await;
    for round in 0..40 {
        for api in [&api, &other] {
            api.get("/products/production/1").await.expect(200);
            api.get("/products/tags/1").await.expect(200);
        }
        stores.sql(&format!("UPDATE products SET stock = 3000 + {round} WHERE id = 1")).await;
        let version = channel.next().await["version"].as_i64().expect("a version");
        for (api, path) in [(&api, "/products/production/1"), (&other, "/products/tags/1")] {
            let read = api.get(path).await.expect(200);
            assert!(read.version() >= version, "{path}: {} of {version}, {}", read.version(), read.source());
        }
    }
    channel.close().await;
}
