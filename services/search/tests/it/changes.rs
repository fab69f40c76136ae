//! The effect of changes in the catalogue, including changes made in psql.

use serde_json::json;
use testkit::eventually;

use crate::support::{Found, Product, SOON, Search, Shop, started};

#[tokio::test]
async fn search_follows_a_product_that_is_created_changed_and_deleted() {
    let (shop, search) = started().await;
    assert_eq!(search.find("cobalt").await.total(), 0);

    let id = shop.create(&[Product { name: "Cobalt Vase", ..Product::default() }]).await[0];
    search.until_found("cobalt", &["Cobalt Vase"]).await;

    shop.put(&format!("/products/{id}"), &json!({ "name": "Crimson Vase", "price_cents": 4_200 })).await;
    search.until_found("crimson", &["Crimson Vase"]).await;
    search.until_found("cobalt", &[]).await;
    let hit = search.find("crimson").await.json()["hits"][0].clone();
    assert_eq!((&hit["price_cents"], &hit["version"]), (&json!(4_200), &json!(2)));

    shop.delete(id).await;
    search.until_found("crimson", &[]).await;
    search.until_found("vase", &[]).await;
}

#[tokio::test]
async fn search_finds_a_change_made_in_psql() {
    let shop = Shop::with_products(50).await;
    let search = Search::of(&shop).await;
    let before = search.ask(&[("limit", "1")]).await.expect(200);
    let id = before.ids()[0];
    shop.sql(&format!("UPDATE products SET name = 'Vermilion Anvil', stock = 0 WHERE id = {id}")).await;
    search.until_found("vermilion", &["Vermilion Anvil"]).await;
    // One statement that changes many products, and a transaction that is rolled back.
    shop.sql("UPDATE products SET description = 'Everything smells of juniper.'").await;
    eventually("all of them", SOON, async || search.find("juniper").await.total() == 50).await;
    shop.sql("BEGIN; UPDATE products SET description = 'Nothing smells of sandalwood.'; ROLLBACK").await;
    shop.sql("DELETE FROM products WHERE id % 2 = 0").await;
    eventually("half of them", SOON, async || search.find("juniper").await.total() == 25).await;
    assert_eq!(search.find("sandalwood").await.total(), 0);
}

#[tokio::test]
async fn renamed_category_is_found_and_shown_by_its_new_name() {
    let shop = Shop::start().await;
    shop.put("/categories/3", &json!({ "name": "Gramophones" })).await;
    let ids = shop
        .create(&[
            Product { name: "Horn", category_id: 3, ..Product::default() },
            Product { name: "Needle", category_id: 3, ..Product::default() },
            Product { name: "Spade", category_id: 1, ..Product::default() },
        ])
        .await;
    let search = Search::of(&shop).await;
    assert_eq!(search.find("gramophone").await.names(), ["Horn", "Needle"]);
    assert_eq!(search.find("turntable").await.total(), 0);
    assert_eq!(search.find("spade").await.total(), 1);

    shop.put("/categories/3", &json!({ "name": "Turntables" })).await;
    search.until_found("turntable", &["Horn", "Needle"]).await;
    search.until_found("gramophone", &[]).await;
    let shown = search.find("horn").await.json();
    assert_eq!(shown["hits"][0]["category"]["name"], "Turntables");
    assert_eq!(shown["facets"][0]["category"]["name"], "Turntables");

    // A product moves into the category.
    shop.put(&format!("/products/{}", ids[2]), &json!({ "category_id": 3 })).await;
    search.until_found("turntables", &["Horn", "Needle", "Spade"]).await;
}

/// The indexer reads the name from the product API, and not from products that were in the category and may have left
/// it.
#[tokio::test]
async fn renamed_category_keeps_its_new_name_when_most_products_leave_it() {
    let shop = Shop::start().await;
    shop.put("/categories/3", &json!({ "name": "Gramophones" })).await;
    shop.sql(
        "INSERT INTO products (name, description, price_cents, stock, category_id)
         SELECT 'Horn ' || n, '', 100, 1, 3 FROM generate_series(1, 400) n",
    )
    .await;
    let search = Search::of(&shop).await;
    eventually("all of them", SOON, async || search.find("gramophone").await.total() == 400).await;

    shop.sql(
        "BEGIN;
         UPDATE categories SET name = 'Turntables' WHERE id = 3;
         UPDATE products SET category_id = 1 WHERE category_id = 3 AND name <> 'Horn 250';
         COMMIT",
    )
    .await;
    search.until_current(&shop).await;
    assert_eq!(search.find("turntable").await.names(), ["Horn 250"]);
    assert_eq!(search.find("gramophone").await.total(), 0);
    let shown = search.ask(&[("q", "horn"), ("category", "3")]).await.expect(200).json();
    assert_eq!(shown["hits"][0]["category"]["name"], "Turntables");
}
