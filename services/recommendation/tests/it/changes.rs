//! A change of a product reaches the lists, including changes made in psql. A change that does not concern a list
//! leaves it in the cache.

use reqwest::Method;
use serde_json::json;
use testkit::eventually;

use crate::support::{SOON, Service, ids, item, started};

#[tokio::test]
async fn price_changed_in_psql_reaches_the_lists_that_show_the_product() {
    let (stores, _api, service) = started().await;
    assert!(item(&service.get("/recommendations/1").await.expect(200).json(), 25).is_some());
    for price in [13_901, 13_902, 13_903] {
        stores.shop_sql(&format!("UPDATE products SET price_cents = {price} WHERE id = 25")).await;
        stores.until_shop_is_applied().await;
        let list = service.get("/recommendations/1").await.expect(200).json();
        assert_eq!(item(&list, 25).unwrap()["price_cents"], price, "{list}");
    }
}

#[tokio::test]
async fn unavailable_products_leave_lists_and_available_ones_enter() {
    let (stores, api, service) = started().await;
    let similar = async || ids(&service.get("/recommendations/1").await.expect(200).json(), "similar");
    assert!(similar().await.contains(&25) && similar().await.contains(&37) && !similar().await.contains(&61));
    api.put("/products/25", &json!({ "stock": 0 })).await.expect(200);
    api.put("/products/61", &json!({ "stock": 1 })).await.expect(200);
    Service::send(api.request(Method::DELETE, "/products/37")).await.expect(204);
    let tent = json!({ "name": "Ridgewalker Three-Person Tent", "price_cents": 25_900, "stock": 1, "category_id": 1 });
    let created = Service::send(api.request(Method::POST, "/products").json(&tent)).await.expect(201).json();
    stores.until_shop_is_applied().await;
    let after = similar().await;
    let created = created["id"].as_i64().unwrap();
    assert!(!after.contains(&25) && !after.contains(&37), "{after:?}");
    assert!(after.contains(&61) && after[0] == created, "{after:?}");
    service.get("/recommendations/37").await.problem(404, "not-found");
}

#[tokio::test]
async fn moved_product_leaves_and_enters_the_lists_of_its_categories() {
    let (stores, _api, service) = started().await;
    let similar =
        async |id: i64| ids(&service.get(&format!("/recommendations/{id}")).await.expect(200).json(), "similar");
    assert!(similar(1).await.contains(&25) && !similar(2).await.contains(&25));
    let own = similar(25).await;
    stores.shop_sql("UPDATE products SET category_id = 2, price_cents = 8900 WHERE id = 25").await;
    stores.until_shop_is_applied().await;
    assert!(!similar(1).await.contains(&25) && similar(2).await.contains(&25));
    assert_ne!(similar(25).await, own);
}

#[tokio::test]
async fn lists_show_the_new_name_of_a_renamed_category() {
    let (stores, _api, service) = started().await;
    service.get("/recommendations/1").await.expect(200);
    stores.shop_sql("UPDATE categories SET name = 'Out of doors' WHERE id = 1").await;
    stores.until_shop_is_applied().await;
    let list = service.get("/recommendations/1").await.expect(200).json();
    assert_eq!(list["similar"][0]["category"], json!({ "id": 1, "name": "Out of doors" }));
}

/// One transaction: when its events are applied, no product that was known to be in the category is in it any more.
#[tokio::test]
async fn copy_has_the_new_name_of_a_category_that_all_products_leave() {
    let (stores, _api, service) = started().await;
    service.get("/recommendations/1").await.expect(200);
    let renamed = "BEGIN; UPDATE categories SET name = 'Out of doors' WHERE id = 1;
                   UPDATE products SET category_id = 2 WHERE category_id = 1; COMMIT";
    stores.shop_sql(renamed).await;
    stores.until_shop_is_applied().await;
    assert_eq!(stores.sql("SELECT name FROM categories WHERE id = 1").await, "Out of doors");
    assert_eq!(stores.sql("SELECT count(*) FROM products WHERE category_id = 1 AND NOT deleted").await, "0");
}

#[tokio::test]
async fn reused_id_is_another_product() {
    let (stores, _api, service) = started().await;
    for _ in 0..4 {
        stores.shop_sql("UPDATE products SET price_cents = price_cents + 1 WHERE id = 25").await;
    }
    stores.shop_sql("DELETE FROM products WHERE id = 25").await;
    stores.until_shop_is_applied().await;
    service.get("/recommendations/25").await.problem(404, "not-found");
    let again =
        "INSERT INTO products (id, name, price_cents, stock, category_id) VALUES (25, 'A rucksack', 13900, 1, 1)";
    stores.shop_sql(again).await;
    stores.until_shop_is_applied().await;
    let list = service.get("/recommendations/1").await.expect(200).json();
    assert_eq!(item(&list, 25).unwrap()["name"], "A rucksack");
    // Deletion and insertion in one transaction: the copy never observes the deletion.
    let at_once =
        format!("BEGIN; DELETE FROM products WHERE id = 25; {}; COMMIT", again.replace("A rucksack", "A pack"));
    stores.shop_sql("UPDATE products SET price_cents = 14000 WHERE id = 25").await;
    stores.shop_sql(&at_once).await;
    stores.until_shop_is_applied().await;
    let list = service.get("/recommendations/1").await.expect(200).json();
    assert_eq!(item(&list, 25).unwrap()["name"], "A pack");
}

#[tokio::test]
async fn change_that_concerns_no_list_leaves_the_lists_in_the_cache() {
    let (stores, _api, service) = started().await;
    stores.until_shop_is_applied().await;
    eventually("the list to be cached", SOON, async || {
        service.get("/recommendations/1").await.expect(200).source() == "hit"
    })
    .await;
    // A change in another category, and one in the same category that no list shows.
    stores.shop_sql("UPDATE products SET price_cents = price_cents + 1 WHERE id = 2").await;
    stores.shop_sql("UPDATE products SET featured = true WHERE id = 61").await;
    stores.until_shop_is_applied().await;
    assert!(service.get("/recommendations/1").await.expect(200).is_hit());
}

#[tokio::test]
async fn cached_lists_equal_new_lists_after_any_change() {
    let (stores, _api, service) = started().await;
    let read = async |id: i64| {
        let answer = service.get(&format!("/recommendations/{id}")).await;
        let mut list = answer.json();
        list.as_object_mut().expect("an object").remove("catalogue");
        ((answer.status, list), answer.source().starts_with("hit"))
    };
    let mut hits = 0;
    for round in 0..6_i64 {
        for id in 1..=36 {
            read(id).await;
        }
        for change in 0..6 {
            let id = (round * 17 + change * 5) % 36 + 1;
            let sql = match (round + change) % 6 {
                0 => format!("UPDATE products SET stock = 0 WHERE id = {id}"),
                1 => format!("UPDATE products SET stock = stock + 1 WHERE id = {id}"),
                2 => format!("UPDATE products SET price_cents = price_cents / 2 + 1 WHERE id = {id}"),
                3 => format!("UPDATE products SET name = 'Thing {round}' WHERE id = {id}"),
                4 => format!("UPDATE products SET category_id = category_id % 12 + 1 WHERE id = {id}"),
                _ => format!("DELETE FROM products WHERE id = {id}"),
            };
            stores.shop_sql(&sql).await;
        }
        stores.until_shop_is_applied().await;
        let mut cached = Vec::new();
        for id in 1..=36 {
            let (list, is_hit) = read(id).await;
            cached.push(list);
            hits += u32::from(is_hit);
        }
        stores
            .redis(&[
                "EVAL",
                "for _, key in ipairs(redis.call('KEYS', 'recommendation:list:*')) do redis.call('DEL', key) end",
                "0",
            ])
            .await;
        for (id, cached) in (1..=36).zip(cached) {
            assert_eq!(cached, read(id).await.0, "beside product {id} after round {round}");
        }
    }
    assert!(hits > 20, "{hits} hits: the lists were not cached");
}
