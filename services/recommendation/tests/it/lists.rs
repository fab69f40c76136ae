//! Which products are recommended for a product, and which never are. Invalid requests get a problem that says
//! why.

use reqwest::Method;
use serde_json::json;

use crate::support::{Service, ids, item, started, with_product_api};

#[tokio::test]
async fn similar_products_are_other_available_products_of_the_category() {
    let (stores, _api, service) = started().await;
    let answer = service.get("/recommendations/1").await.expect(200);
    assert!(answer.source().starts_with("fwd=miss; stored"), "{}", answer.source());
    let list = answer.json();
    let similar = ids(&list, "similar");
    // The category of product 1 has ten hand-written products. Product 61 is one of them and is sold out.
    let category = "SELECT id FROM products WHERE category_id = 1 AND stock > 0 AND id <> 1";
    let there: Vec<i64> = stores.shop_sql(category).await.lines().map(|id| id.parse().unwrap()).collect();
    assert!(similar.len() >= 8 && similar.iter().all(|id| there.contains(id)), "{similar:?} of {there:?}");
    assert_eq!((&list["product_id"], &list["bought_together"]), (&json!(1), &json!([])));
    let scores: Vec<f64> = similar.iter().map(|id| item(&list, *id).unwrap()["score"].as_f64().unwrap()).collect();
    assert!(scores.is_sorted_by(|a, b| a >= b) && scores.iter().all(|score| (0.0..=1.0).contains(score)), "{scores:?}");
    assert_eq!(list["similar"][0]["category"]["name"], "Outdoor & Camping");
    assert!(service.get("/recommendations/1").await.expect(200).is_hit());
}

#[tokio::test]
async fn products_with_equal_words_and_price_are_the_most_similar() {
    let (stores, api) = with_product_api().await;
    let products = [
        (9001, "Teak garden bench", 20_000),
        (9002, "Teak garden bench, weathered", 21_000),
        (9003, "Teak garden bench", 90_000),
        (9004, "Parasol", 20_000),
        (9005, "Watering can", 1_500),
    ];
    stores.shop_sql("INSERT INTO categories (id, name) VALUES (900, 'Gardens')").await;
    for (id, name, price) in products {
        let values = format!("({id}, '{name}', {price}, 5, 900)");
        stores
            .shop_sql(&format!("INSERT INTO products (id, name, price_cents, stock, category_id) VALUES {values}"))
            .await;
    }
    let service = stores.start_service(api.url(), &[]).await;
    let list = service.get("/recommendations/9001").await.expect(200).json();
    assert_eq!(ids(&list, "similar"), [9002, 9003, 9004, 9005], "{list}");
    let reason = |id| item(&list, id).unwrap()["reason"].clone();
    assert_eq!((reason(9002), reason(9004)), (json!("same_kind"), json!("same_price_range")));
}

#[tokio::test]
async fn lists_have_at_most_as_many_items_as_the_limit() {
    let (_stores, _api, service) = started().await;
    let all = ids(&service.get("/recommendations/1").await.expect(200).json(), "similar");
    for limit in [1, 3, 12] {
        let few = service.get(&format!("/recommendations/1?limit={limit}")).await.expect(200);
        assert!(few.is_hit(), "all limits share one entry: {}", few.source());
        assert_eq!(ids(&few.json(), "similar"), all[..limit.min(all.len())]);
    }
}

#[tokio::test]
async fn unknown_product_is_not_found_and_lone_product_has_empty_lists() {
    let (stores, _api, service) = started().await;
    for _ in 0..2 {
        service.get("/recommendations/4711").await.problem(404, "not-found");
    }
    stores.shop_sql("INSERT INTO categories (id, name) VALUES (900, 'Alone')").await;
    let lonely = "INSERT INTO products (id, name, price_cents, stock, category_id) VALUES (4711, '', 1, 1, 900)";
    // A name must not be empty; this one has no words.
    stores.shop_sql(&lonely.replace("''", "'…'")).await;
    stores.until_shop_is_applied().await;
    let list = service.get("/recommendations/4711").await.expect(200).json();
    assert_eq!((&list["similar"], &list["bought_together"]), (&json!([]), &json!([])), "{list}");
}

/// Reads of ids without a product leave no tag set, and the creation of a product removes its negative entry.
#[tokio::test]
async fn reads_of_unknown_ids_leave_no_tag_sets() {
    let (stores, _api, service) = started().await;
    let bookkeeping = async || stores.redis(&["EVAL", "return #redis.call('KEYS', 'recommendation:~*')", "0"]).await;
    service.get("/recommendations/9001").await.problem(404, "not-found");
    let before = bookkeeping().await;
    for id in 9_001..9_050 {
        service.get(&format!("/recommendations/{id}")).await.problem(404, "not-found");
    }
    assert_eq!(bookkeeping().await, before);
    let entry = async || stores.redis(&["EXISTS", "recommendation:list:9001"]).await;
    assert_eq!(entry().await, "1", "that there is none is remembered");
    // The product is sold out, so that it enters no other list.
    let sold_out =
        "INSERT INTO products (id, name, price_cents, stock, category_id) VALUES (9001, 'Sold out', 1, 0, 1)";
    stores.shop_sql(sold_out).await;
    stores.until_shop_is_applied().await;
    assert_eq!(entry().await, "0");
    service.get("/recommendations/9001").await.expect(200);
    assert_ne!(bookkeeping().await, before, "the list of a product that exists has tag sets");
}

#[tokio::test]
async fn unchanged_list_is_not_sent_again() {
    let (stores, _api, service) = started().await;
    let first = service.get("/recommendations/1").await.expect(200);
    let tag = first.header("etag").to_owned();
    let again = || service.request(reqwest::Method::GET, "/recommendations/1").header("if-none-match", &tag);
    crate::support::Service::send(again()).await.expect(304);
    // The change concerns a product in the list: the validator covers the shown bytes.
    let shown = first.json()["similar"][0]["product_id"].clone();
    stores.shop_sql(&format!("UPDATE products SET price_cents = price_cents + 1 WHERE id = {shown}")).await;
    stores.until_shop_is_applied().await;
    crate::support::Service::send(again()).await.expect(200);
}

/// The limit truncates the list, and the status of the catalogue is added to each response: both are part of the bytes.
#[tokio::test]
async fn representations_with_different_bytes_never_share_a_validator() {
    let (stores, _api, service) = started().await;
    let mut seen = std::collections::HashMap::new();
    for change in ["name = 'Other'", "price_cents = price_cents + 1", "stock = 0", "stock = 9"] {
        stores.shop_sql(&format!("UPDATE products SET {change} WHERE id = 2")).await;
        stores.until_shop_is_applied().await;
        for limit in [1, 2, 12] {
            let list = service.get(&format!("/recommendations/1?limit={limit}")).await.expect(200);
            assert_eq!(list.header("cache-control"), "no-cache");
            let tag = list.header("etag").to_owned();
            assert_eq!(seen.entry(tag).or_insert_with(|| list.body.clone()), &list.body, "{limit} after {change}");
        }
    }
    stores.shop_sql("UPDATE categories SET name = 'Renamed' WHERE id = 1").await;
    stores.until_shop_is_applied().await;
    let list = service.get("/recommendations/1").await.expect(200);
    assert_eq!(seen.entry(list.header("etag").to_owned()).or_insert_with(|| list.body.clone()), &list.body);
    let cart = service.get(&format!("/recommendations?cart={}", uuid::Uuid::new_v4())).await.expect(200);
    assert_eq!(cart.header("cache-control"), "private, no-store");
}

#[tokio::test]
async fn invalid_product_ids_are_malformed() {
    let (_stores, _api, service) = started().await;
    for id in ["abc", "0", "-1", "+1", "1.0", "1e3", "%20", "1%20", "%00", "9223372036854775808", "%FF", "'1'"] {
        service.get(&format!("/recommendations/{id}")).await.problem(400, "malformed");
    }
    service.get(&format!("/recommendations/{}", i64::MAX)).await.problem(404, "not-found");
}

#[tokio::test]
async fn invalid_parameters_are_refused_by_name() {
    let (_stores, _api, service) = started().await;
    let cart = "67e55044-10b1-426f-9247-bb680e5fe0c8";
    for limit in ["0", "13", "-1", "9223372036854775807"] {
        for path in [format!("/recommendations/1?limit={limit}"), format!("/recommendations?cart={cart}&limit={limit}")]
        {
            let problem = service.get(&path).await.problem(422, "invalid-fields");
            assert_eq!(problem["errors"][0]["field"], "limit", "{path}: {problem}");
        }
    }
    for query in ["", "?cart=", "?cart=1", "?cart=abc", &format!("?cart={{{cart}}}"), &format!("?cart={}", &cart[1..])]
    {
        let problem = service.get(&format!("/recommendations{query}")).await.problem(422, "invalid-fields");
        assert_eq!(problem["errors"][0]["field"], "cart", "{query}: {problem}");
    }
    for query in ["limit=many", "limit=", "limit=1.5", "limit=99999999999999999999", "limt=3", "limit=1&limit=2"] {
        service.get(&format!("/recommendations/1?{query}")).await.problem(400, "malformed");
        service.get(&format!("/recommendations?cart={cart}&{query}")).await.problem(400, "malformed");
    }
}

#[tokio::test]
async fn other_methods_and_other_paths_are_refused() {
    let (_stores, _api, service) = started().await;
    for method in [Method::POST, Method::PUT, Method::DELETE, Method::PATCH] {
        for path in ["/recommendations", "/recommendations/1"] {
            let answer = Service::send(service.request(method.clone(), path)).await;
            assert_eq!(
                (answer.status, answer.header("allow")),
                (405, "GET, HEAD, OPTIONS"),
                "{method} {path}: {answer:?}"
            );
        }
    }
    service.get("/recommendation").await.problem(404, "not-found");
    service.get("/recommendations/1/2").await.problem(404, "not-found");
}
