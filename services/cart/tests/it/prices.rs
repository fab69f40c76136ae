//! A change of a product reaches the view, for every writer: product API, relay, stream and cart are all real.
//! `GET /events/snapshot`: the lines of all carts, for a consumer that has lost events.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use testkit::eventually;

use crate::support::{CartOf, SOON, Stores, started};

#[tokio::test]
async fn new_price_reaches_the_view_and_is_shown_with_the_old_one() {
    let stores = Stores::start().await;
    let (api, service) = stores.both().await;
    let cart = CartOf::at(&service).await;
    let price = api.get("/products/1").await.expect(200).json()["price_cents"].as_i64().expect("a price");
    cart.put(1, 2).await.expect(201);
    assert_eq!(cart.line(1).await["price_changed"], json!(null));
    for write in ["HTTP", "SQL"] {
        let now = price + if write == "HTTP" { 50 } else { 70 };
        match write {
            "HTTP" => {
                drop(api.put("/products/explicit/1", &json!({ "price_cents": now, "stock": 50 })).await.expect(200))
            }
            _ => drop(stores.shop_sql(&format!("UPDATE products SET price_cents = {now} WHERE id = 1")).await),
        }
        stores.until_price(&cart, 1, now).await;
        let line = cart.line(1).await;
        assert_eq!(line["price_changed"], json!({ "from": price, "to": now }), "{write}");
        assert_eq!((&line["added_price_cents"], &line["line_total_cents"]), (&json!(price), &json!(2 * now)));
        let version = api.get("/products/1").await.expect(200).version();
        assert_eq!(line["product_version"], version);
    }
    cart.cached().await;
}

#[tokio::test]
async fn view_counts_only_what_can_be_bought_of_scarce_or_deleted_products() {
    let stores = Stores::start().await;
    let (api, service) = stores.both().await;
    let cart = CartOf::at(&service).await;
    for (id, cents) in [(1, 100), (2, 1_000)] {
        api.put(&format!("/products/{id}"), &json!({ "price_cents": cents, "stock": 50 })).await.expect(200);
    }
    cart.put(1, 10).await.expect(201);
    cart.put(2, 1).await.expect(201);
    let until = async |state: &str, total: i64| {
        eventually(state, SOON, async || {
            let view = cart.view().await.expect(200).json();
            let line = &view["lines"][0];
            line["availability"]["state"] == state && view["totals"]["total_cents"] == total && line["quantity"] == 10
        })
        .await;
    };
    until("in_stock", 2_000).await;
    api.put("/products/1", &json!({ "stock": 3 })).await.expect(200);
    until("only_left", 1_300).await;
    assert_eq!(cart.line(1).await["availability"]["left"], 3);
    stores.shop_sql("UPDATE products SET stock = 0 WHERE id = 1").await;
    until("sold_out", 1_000).await;
    api.delete("/products/1").await.expect(204);
    until("no_longer_sold", 1_000).await;
    let line = cart.line(1).await;
    assert!(line["name"].as_str().is_some_and(|name| !name.is_empty()), "the line still says what it was: {line}");
    cart.put(1, 1).await.problem(404, "not-found");
    cart.remove(1).await.expect(204);
    assert_eq!(cart.view().await.expect(200).json()["lines"].as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn a_product_that_is_there_again_under_its_old_id_is_sold_again() {
    let stores = Stores::start().await;
    let (_api, service) = stores.both().await;
    let cart = CartOf::at(&service).await;
    stores.shop_sql("UPDATE products SET stock = 50, price_cents = 300 WHERE id = 1").await;
    stores.shop_sql("UPDATE products SET price_cents = 400 WHERE id = 1").await;
    cart.put(1, 1).await.expect(201);
    stores.shop_sql("DELETE FROM products WHERE id = 1").await;
    eventually("the deletion", SOON, async || cart.line(1).await["availability"]["state"] == "no_longer_sold").await;
    // Its versions start from the beginning.
    stores
        .shop_sql("INSERT INTO products (id, name, price_cents, stock, category_id) VALUES (1, 'Again', 500, 50, 1)")
        .await;
    stores.until_price(&cart, 1, 500).await;
    let line = cart.line(1).await;
    assert_eq!((&line["name"], &line["product_version"]), (&json!("Again"), &json!(1)));
}

#[tokio::test]
async fn renamed_category_and_unused_product_leave_the_views_alone() {
    let stores = Stores::start().await;
    let (_api, service) = stores.both().await;
    let cart = stores.cached_cart(&service, &[1]).await;
    stores
        .shop_sql("UPDATE categories SET name = name || '!'; UPDATE products SET stock = stock + 1 WHERE id = 2")
        .await;
    let head = async || stores.shop_sql("SELECT seq FROM outbox_head").await.parse::<u64>().expect("a number");
    eventually("the events to be numbered", SOON, async || {
        stores.shop_sql("SELECT count(*) FROM outbox WHERE done_at IS NULL").await == "0"
    })
    .await;
    stores.until_applied("product:events", head().await).await;
    assert!(cart.view().await.expect(200).is_hit());
}

#[tokio::test]
async fn amount_beyond_64_bits_is_null_in_views_and_refused_in_writes() {
    let (_stores, fake, service) = started(2).await;
    let cart = CartOf::at(&service).await;
    fake.set_product(1, 1, &json!({ "price_cents": 1_000_000_000_000_i64, "stock": 2_000 }));
    cart.put(1, 999).await.expect(201);
    assert_eq!(cart.view().await.expect(200).json()["totals"]["total_cents"], 999_000_000_000_000_i64);
    fake.set_product(2, 1, &json!({ "price_cents": i64::MAX, "stock": 2_000 }));
    let problem = cart.put(2, 2).await.problem(422, "invalid-fields");
    assert_eq!(problem["errors"][0]["field"], "quantity");
    cart.put(2, 1).await.expect(201);
    let view = cart.view().await.expect(200).json();
    assert_eq!(
        (&view["lines"][1]["line_total_cents"], &view["totals"]["total_cents"]),
        (&json!(i64::MAX), &json!(null))
    );
}

#[tokio::test]
async fn snapshot_lists_every_line_once_whatever_the_size_of_its_pages() {
    let (_stores, _fake, service) = started(3).await;
    let mut expected = BTreeSet::new();
    let mut ids = Vec::new();
    for products in [&[1][..], &[1, 2, 3], &[], &[2], &[3, 1], &[]] {
        let cart = CartOf::at(&service).await;
        for product in products {
            let line = cart.put(*product, 2).await.expect(201).json();
            expected.insert((cart.reference(), *product, 2, line["version"].as_i64().expect("a version")));
        }
        ids.push(cart.id);
    }
    // A removed line is not in the cart.
    let emptied = CartOf { service: &service, id: ids[0].clone() };
    emptied.remove(1).await.expect(204);
    expected.retain(|(reference, ..)| *reference != emptied.reference());

    for limit in ["1", "2", "5", "6", "100"] {
        let (mut lines, mut cursor, mut pages) = (Vec::new(), String::new(), 0);
        loop {
            let page = service.get(&format!("/events/snapshot?limit={limit}{cursor}")).await.expect(200);
            assert!(ids.iter().all(|id| !page.text().contains(id)), "a page gives a cart's id away: {}", page.text());
            let page = page.json();
            lines.extend(page["lines"].as_array().expect("lines").iter().map(line));
            pages += 1;
            let Some(next) = page["next_cursor"].as_str() else { break };
            cursor = format!("&cursor={next}");
        }
        assert_eq!(lines.len(), expected.len(), "each once, by {limit}");
        assert_eq!(lines.into_iter().collect::<BTreeSet<_>>(), expected, "by {limit}");
        assert!(pages > 1 || limit == "100", "{pages} pages, by {limit}");
    }
}

fn line(line: &Value) -> (String, i64, i64, i64) {
    let number = |field: &str| line[field].as_i64().expect("a number");
    let reference = line["cart_id"].as_str().expect("a reference").to_owned();
    (reference, number("product_id"), number("quantity"), number("version"))
}

#[tokio::test]
async fn snapshot_refuses_invalid_page_parameters() {
    let (_stores, _fake, service) = started(1).await;
    assert_eq!(service.get("/events/snapshot").await.expect(200).json(), json!({ "lines": [] }));
    for limit in ["0", "101"] {
        service.get(&format!("/events/snapshot?limit={limit}")).await.problem(422, "invalid-fields");
    }
    for query in ["limit=many", "cursor=1", "after=1"] {
        service.get(&format!("/events/snapshot?{query}")).await.problem(400, "malformed");
    }
}
