//! The effect of changes in the catalogue, including changes made in psql. When the stream cannot be read, the
//! search reads the product API's log, and is stale when the log is unavailable too.

use serde_json::{Value, json};
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

/// Events that a person has written into the outbox by hand.
#[tokio::test]
async fn event_that_names_no_product_or_cannot_be_parsed_stops_nothing() {
    let (shop, search) = started().await;
    shop.sql(
        r#"INSERT INTO outbox (event) VALUES ('{"type": "x", "n": 1e400}');
         INSERT INTO outbox (event)
         SELECT jsonb_build_object('a', (repeat('[', n) || repeat(']', n))::jsonb) FROM generate_series(122, 130) n;
         INSERT INTO outbox (event)
         SELECT announce('product.updated', jsonb_build_object(
             'product_id', n, 'version', 1, 'category_id', 1, 'changed', '[]'::jsonb)) FROM generate_series(-1, 0) n;
         NOTIFY outbox"#,
    )
    .await;
    shop.create(&[Product { name: "Cobalt Vase", ..Product::default() }]).await;
    search.until_found("cobalt", &["Cobalt Vase"]).await;
    search.until_current(&shop).await;
    eventually("a current index", SOON, async || !is_stale(&search).await).await;
}

async fn events(search: &Search) -> Value {
    search.readiness().await["checks"]["events"].clone()
}

async fn is_stale(search: &Search) -> bool {
    search.find("!").await.json()["index"]["stale"] == true
}

#[tokio::test]
async fn search_without_the_stream_reads_the_log_and_is_stale_without_both() {
    let mut shop = Shop::start().await;
    let ids = shop.create(&[Product { name: "Alpha lamp", ..Product::default() }]).await;
    let search = Search::with(&shop, &[("EVENTS__STALE_AFTER", "3s")]).await;
    search.until_found("lamp", &["Alpha lamp"]).await;
    eventually("the search to be current", SOON, async || {
        !is_stale(&search).await && events(&search).await["status"] == "ok"
    })
    .await;

    shop.redis.revoke_stream_access("search").await.expect("the rights are taken");
    eventually("the events to fail", SOON, async || {
        let events = events(&search).await;
        let names = events["detail"].as_str().is_some_and(|detail| detail.contains("product:events"));
        events["status"] == "failing" && names
    })
    .await;
    assert_eq!(search.readiness().await["status"], "degraded");
    shop.put(&format!("/products/{}", ids[0]), &json!({ "name": "Beta lamp" })).await;
    search.until_found("lamp", &["Beta lamp"]).await;
    eventually("the log to be enough", SOON, async || !is_stale(&search).await).await;

    // A page that is not stored says that, and not how current the index is.
    let is_cached = async || search.find("lamp").await.header("cache-status").contains("hit");
    eventually("the page to be cached", SOON, is_cached).await;
    shop.stop_api().await;
    eventually("the search to be stale", SOON, async || is_stale(&search).await).await;
    let page = search.find("lamp").await;
    assert!(page.header("cache-status").contains("index-stale"), "{page:?}");

    shop.redis.restore_users().await.expect("the rights are given back");
    shop.start_api().await;
    eventually("the search to be current again", SOON, async || {
        !is_stale(&search).await && events(&search).await["status"] == "ok"
    })
    .await;
    search.until_found("lamp", &["Beta lamp"]).await;
}
