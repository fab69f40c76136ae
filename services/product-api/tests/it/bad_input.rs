//! Invalid input is answered with a problem that says why, and changes nothing.

use reqwest::Method;
use serde_json::json;

use crate::support::{STRATEGIES, Service, Stores, started};

/// Returns a digest of all data, to compare before and after.
async fn everything(stores: &Stores) -> String {
    stores.sql("SELECT md5(string_agg(p::text, '')) FROM (SELECT * FROM products ORDER BY id) p").await
        + &stores.sql("SELECT md5(string_agg(c::text, '')) FROM (SELECT * FROM categories ORDER BY id) c").await
}

#[tokio::test]
async fn invalid_ids_are_malformed() {
    let (stores, api) = started().await;
    let before = everything(&stores).await;
    let ids = [
        "abc", "0", "-1", "+1", "1.0", "1e3", "0x1", "%20", "1%20", "%00", "1%00", "%0A", "1%0A", "%31%2F2", "1;drop",
        "'1'", "NaN", "9223372036854775808", "99999999999999999999999999", "%D9%A1", "%FF",
    ];
    let change = json!({ "stock": 1 });
    for id in ids {
        for strategy in STRATEGIES {
            let path = format!("/products/{strategy}/{id}");
            let problem = api.get(&path).await.problem(400, "malformed");
            assert!(
                problem["detail"].as_str().is_some_and(|detail| detail.contains("number from 1 to")),
                "{path} {problem}"
            );
            api.put(&path, &change).await.problem(400, "malformed");
        }
        for path in [format!("/products/{id}"), format!("/products/by-category/{id}")] {
            api.get(&path).await.problem(400, "malformed");
        }
        api.put(&format!("/products/{id}"), &change).await.problem(400, "malformed");
        api.put(&format!("/categories/{id}"), &json!({ "name": "x" })).await.problem(400, "malformed");
        api.delete(&format!("/products/{id}")).await.problem(400, "malformed");
        api.delete(&format!("/products/explicit/{id}")).await.problem(400, "malformed");
    }
    let huge = "9".repeat(10_000);
    api.get(&format!("/products/ttl/{huge}")).await.problem(400, "malformed");
    assert_eq!(everything(&stores).await, before);
    let entries = api.get("/cache/entries").await.expect(200).json();
    assert_eq!(entries["entries"], json!([]), "nothing is cached under a name that is no id");
}

#[tokio::test]
async fn largest_id_is_valid_and_not_found() {
    let (_stores, api) = started().await;
    for strategy in STRATEGIES {
        api.get(&format!("/products/{strategy}/{}", i64::MAX)).await.problem(404, "not-found");
        api.put(&format!("/products/{strategy}/{}", i64::MAX), &json!({ "stock": 1 })).await.problem(404, "not-found");
    }
    for path in [format!("/products/{}", i64::MAX), format!("/products/by-category/{}", i64::MAX)] {
        api.get(&path).await.problem(404, "not-found");
    }
    api.delete(&format!("/products/{}", i64::MAX)).await.problem(404, "not-found");
    api.delete(&format!("/products/explicit/{}", i64::MAX)).await.problem(404, "not-found");
}

#[tokio::test]
async fn unknown_fields_and_values_of_another_type_are_refused_by_name() {
    let (stores, api) = started().await;
    let before = everything(&stores).await;
    // body → the named field
    let cases = [
        (r#"{"name": null}"#, "name"),
        (r#"{"stock": 1, "featured": null}"#, "featured"),
        (r#"{"stock": 1, "stock": 2}"#, "$"),
        (r#"{"stock": "many"}"#, "stock"),
        (r#"{"stock": 1.5}"#, "stock"),
        (r#"{"stock": 2147483648}"#, "stock"),
        (r#"{"price_cents": 9223372036854775808}"#, "price_cents"),
        (r#"{"price_cents": {"amount": 1}}"#, "price_cents"),
        (r#"{"featured": "yes"}"#, "featured"),
        (r#"{"name": ["a"]}"#, "name"),
        (r#"{"version": 9}"#, "version"),
        (r#"{"id": 9, "stock": 1}"#, "id"),
    ];
    let paths = STRATEGIES.map(|strategy| format!("/products/{strategy}/1"));
    for (body, field) in cases {
        for path in paths.iter().map(String::as_str).chain(["/products/1"]) {
            let request = api.request(Method::PUT, path).header("content-type", "application/json").body(body);
            let problem = Service::send(request).await.problem(422, "invalid-fields");
            assert_eq!(problem["errors"][0]["field"], field, "{body}: {problem}");
            assert!(problem["errors"][0]["message"].as_str().is_some_and(|text| !text.is_empty()), "{problem}");
        }
    }
    assert_eq!(everything(&stores).await, before);
}

#[tokio::test]
async fn values_out_of_bounds_are_refused_by_name_all_at_once() {
    let (stores, api) = started().await;
    let before = everything(&stores).await;
    let cases = [
        (json!({ "price_cents": -1 }), "price_cents"),
        (json!({ "price_cents": i64::MIN }), "price_cents"),
        (json!({ "price_cents": 1_000_000_000_001_i64 }), "price_cents"),
        (json!({ "stock": -1 }), "stock"),
        (json!({ "category_id": 0 }), "category_id"),
        (json!({ "category_id": 4711 }), "category_id"),
        (json!({ "category_id": i64::MAX }), "category_id"),
        (json!({ "name": "" }), "name"),
        (json!({ "name": "   " }), "name"),
        (json!({ "name": "x".repeat(201) }), "name"),
        (json!({ "name": "a\u{0}b" }), "name"),
        (json!({ "name": "a\nb" }), "name"),
        (json!({ "name": "a\u{1b}[31mb" }), "name"),
        (json!({ "name": "a\u{85}b" }), "name"),
        (json!({ "description": "a\u{0}b" }), "description"),
        (json!({ "description": "x".repeat(5_001) }), "description"),
    ];
    for (body, field) in &cases {
        for strategy in STRATEGIES {
            let problem = api.put(&format!("/products/{strategy}/1"), body).await.problem(422, "invalid-fields");
            assert_eq!(problem["errors"][0]["field"], *field, "{strategy} {body}: {problem}");
        }
        api.put("/products/1", body).await.problem(422, "invalid-fields");
        let mut new = json!({ "name": "New", "price_cents": 1, "category_id": 1 });
        new[*field] = body[*field].clone();
        let problem = api.post("/products", &new).await.problem(422, "invalid-fields");
        assert_eq!(problem["errors"][0]["field"], *field, "{problem}");
    }
    let three = json!({ "name": "", "price_cents": -1, "stock": -1 });
    let problem = api.put("/products/ttl/1", &three).await.problem(422, "invalid-fields");
    let mut named: Vec<_> =
        problem["errors"].as_array().expect("a list").iter().map(|error| error["field"].clone()).collect();
    named.sort_by_key(ToString::to_string);
    named.dedup();
    assert_eq!(json!(named), json!(["name", "price_cents", "stock"]));
    for field in ["name", "price_cents", "category_id"] {
        let mut new = json!({ "name": "New", "price_cents": 1, "category_id": 1 });
        new.as_object_mut().expect("an object").remove(field);
        let problem = api.post("/products", &new).await.problem(422, "invalid-fields");
        assert_eq!(problem["errors"], json!([{ "field": field, "message": "is missing" }]));
    }
    assert_eq!(everything(&stores).await, before);
}

#[tokio::test]
async fn names_and_texts_of_any_script_come_back_as_they_were_sent() {
    let (_stores, api) = started().await;
    let name = "Größe \u{1F9E6} 日本語 \\ \" ' <b>&amp;</b> %00 $1";
    let change = json!({ "name": name, "description": "two\nlines\tand a tab", "price_cents": 1_000_000_000_000_i64, "stock": i32::MAX });
    for strategy in STRATEGIES {
        let path = format!("/products/{strategy}/2");
        let written = api.put(&path, &change).await.expect(200).json();
        for _ in 0..2 {
            let read = api.get(&path).await.expect(200).json();
            assert_eq!((&read["name"], &read["description"]), (&json!(name), &change["description"]), "{strategy}");
            assert_eq!(read, written, "{strategy}");
        }
    }
}

#[tokio::test]
async fn unknown_strategy_or_path_is_404_and_the_strategies_are_named() {
    let (_stores, api) = started().await;
    for strategy in ["lru", "TTL", "Ttl", "ttl%20", "%00", "write-through", "featured", "categories"] {
        let problem = api.get(&format!("/products/{strategy}/1")).await.problem(404, "not-found");
        let detail = problem["detail"].as_str().unwrap_or_default();
        assert!(STRATEGIES.iter().all(|known| detail.contains(known)), "{problem}");
        api.put(&format!("/products/{strategy}/1"), &json!({ "stock": 1 })).await.problem(404, "not-found");
    }
    for path in [
        "/", "/nothing", "/products/ttl/1/more", "/products/", "/categories/1/products", "/cache", "/problems/none",
        "//", "/%2e%2e/etc/passwd",
    ] {
        api.get(path).await.problem(404, "not-found");
    }
}

#[tokio::test]
async fn unsupported_method_is_405_and_lists_the_allowed_methods() {
    let (_stores, api) = started().await;
    for (method, path, allow) in [
        ("POST", "/products/ttl/1", "GET, HEAD, PUT, OPTIONS"),
        ("DELETE", "/products/production/1", "GET, HEAD, PUT, OPTIONS"),
        ("POST", "/products/explicit/1", "GET, HEAD, PUT, DELETE, OPTIONS"),
        ("PATCH", "/products/1", "GET, HEAD, PUT, DELETE, OPTIONS"),
        ("DELETE", "/products", "GET, HEAD, POST, OPTIONS"),
        ("PUT", "/products/featured", "GET, HEAD, OPTIONS"),
        ("POST", "/products/by-category/1", "GET, HEAD, OPTIONS"),
        ("POST", "/categories", "GET, HEAD, OPTIONS"),
        ("DELETE", "/categories/1", "PUT, OPTIONS"),
        ("POST", "/metrics", "GET, HEAD, OPTIONS"),
        ("DELETE", "/cache/stats/product:ttl:1", "GET, HEAD, OPTIONS"),
        ("POST", "/cache/entries", "GET, HEAD, OPTIONS"),
        ("BREW", "/products/ttl/1", "GET, HEAD, PUT, OPTIONS"),
    ] {
        let method = Method::from_bytes(method.as_bytes()).expect("a token");
        let answer = Service::send(api.request(method.clone(), path).json(&json!({ "stock": 1 }))).await;
        assert_eq!((answer.status, answer.header("allow")), (405, allow), "{method} {path}");
        answer.problem(405, "method-not-allowed");
    }
}

#[tokio::test]
async fn pages_are_refused_outside_their_bounds() {
    let (_stores, api) = started().await;
    for (query, status, field) in [
        ("limit=0", 422, "limit"),
        ("limit=-1", 422, "limit"),
        ("limit=501", 422, "limit"),
        ("cursor=abc", 422, "cursor"),
        ("cursor=-1", 422, "cursor"),
        ("cursor=99999999999999999999", 422, "cursor"),
        ("limit=ten", 400, "limit"),
        ("limit=", 400, "limit"),
        ("limit=99999999999999999999", 400, "limit"),
        ("page=2", 400, "page"),
    ] {
        let kind = if status == 422 { "invalid-fields" } else { "malformed" };
        let problem = api.get(&format!("/products?{query}")).await.problem(status, kind);
        assert_eq!(problem["errors"][0]["field"], field, "{query}: {problem}");
    }
}

#[tokio::test]
async fn category_name_must_be_valid_and_unique() {
    let (stores, api) = started().await;
    let before = everything(&stores).await;
    let taken = api.get("/categories").await.expect(200).json()[1]["name"].clone();
    api.put("/categories/1", &json!({ "name": taken })).await.problem(409, "conflict");
    for body in [
        json!({ "name": "" }),
        json!({ "name": "a\tb" }),
        json!({ "name": "x".repeat(101) }),
        json!({ "colour": "red" }),
    ] {
        api.put("/categories/1", &body).await.problem(422, "invalid-fields");
    }
    assert_eq!(everything(&stores).await, before);
}
