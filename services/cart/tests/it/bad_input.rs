//! Invalid input is answered with a problem that says why, and changes nothing.

use reqwest::Method;
use serde_json::json;

use crate::support::{CartOf, Service, Stores, started};

/// Returns a digest of all data, to compare before and after.
async fn everything(stores: &Stores) -> String {
    let mut all = String::new();
    for table in ["carts", "cart_items", "outbox"] {
        all += &stores.sql(&format!("SELECT md5(string_agg(t::text, '' ORDER BY t::text)) FROM {table} t")).await;
    }
    all
}

/// Creates a cart with product 1, and waits until the service is idle.
async fn settled_state(stores: &Stores, service: &Service) -> (String, String) {
    let cart = CartOf::at(service).await;
    cart.put(1, 1).await.expect(201);
    stores.until_published().await;
    (cart.id, everything(stores).await)
}

#[tokio::test]
async fn invalid_ids_are_malformed() {
    let (stores, _fake, service) = started(2).await;
    let (cart, before) = settled_state(&stores, &service).await;
    let body = json!({ "quantity": 2 });
    let upper = cart.to_uppercase();
    service.get(&format!("/carts/{upper}")).await.expect(200);
    let bare = cart.replace('-', "");
    for id in [
        "1",
        "abc",
        "%20",
        "%00",
        "%FF",
        &bare,
        &cart[1..],
        &format!("{{{cart}}}"),
        &format!("urn:uuid:{cart}"),
        &"9".repeat(5_000),
    ] {
        service.get(&format!("/carts/{id}")).await.problem(400, "malformed");
        service.put(&format!("/carts/{id}/items/1"), &body).await.problem(400, "malformed");
        service.delete(&format!("/carts/{id}/items/1")).await.problem(400, "malformed");
    }
    for id in [
        "abc", "0", "-1", "+1", "1.0", "1e3", "%20", "1%20", "%00", "1%0A", "9223372036854775808", "%D9%A1", "%FF",
        "'1'",
    ] {
        service.put(&format!("/carts/{cart}/items/{id}"), &body).await.problem(400, "malformed");
        service.delete(&format!("/carts/{cart}/items/{id}")).await.problem(400, "malformed");
    }
    service.put(&format!("/carts/{cart}/items/{}", i64::MAX), &body).await.problem(404, "not-found");
    assert_eq!(everything(&stores).await, before);
}

#[tokio::test]
async fn bodies_that_are_not_a_quantity_are_refused_by_name() {
    let (stores, _fake, service) = started(2).await;
    let (cart, before) = settled_state(&stores, &service).await;
    // body → the named field
    let cases = [
        ("{}", "quantity"),
        (r#"{"quantity": "many"}"#, "quantity"),
        (r#"{"quantity": "1"}"#, "quantity"),
        (r#"{"quantity": null}"#, "quantity"),
        (r#"{"quantity": 1.5}"#, "quantity"),
        (r#"{"quantity": 0}"#, "quantity"),
        (r#"{"quantity": -1}"#, "quantity"),
        (r#"{"quantity": 1000}"#, "quantity"),
        (r#"{"quantity": 2147483648}"#, "quantity"),
        (r#"{"quantity": 99999999999999999999}"#, "quantity"),
        (r#"{"quantity": 1, "price_cents": 1}"#, "price_cents"),
    ];
    for (body, field) in cases {
        for product in [1, 2] {
            let path = format!("/carts/{cart}/items/{product}");
            let request = service.request(Method::PUT, &path).header("content-type", "application/json").body(body);
            let problem = Service::send(request).await.problem(422, "invalid-fields");
            assert_eq!(problem["errors"][0]["field"], field, "{body}: {problem}");
        }
    }
    assert_eq!(everything(&stores).await, before);
    let cart = CartOf { service: &service, id: cart };
    cart.put(1, 999).await.expect(200);
}

#[tokio::test]
async fn unknown_paths_are_404_and_unsupported_methods_are_405() {
    let (stores, _fake, service) = started(1).await;
    let (cart, before) = settled_state(&stores, &service).await;
    for path in ["/", "/carts/", "/cart", "/carts//items/1", "/carts/1/2", "//", "/%2e%2e/etc/passwd"] {
        service.get(path).await.problem(404, "not-found");
    }
    for (method, path, allow) in [
        ("GET", "/carts".to_owned(), "POST, OPTIONS"),
        ("DELETE", "/carts".to_owned(), "POST, OPTIONS"),
        ("DELETE", format!("/carts/{cart}"), "GET, HEAD, OPTIONS"),
        ("PUT", format!("/carts/{cart}"), "GET, HEAD, OPTIONS"),
        ("GET", format!("/carts/{cart}/items/1"), "PUT, DELETE, OPTIONS"),
        ("POST", format!("/carts/{cart}/items/1"), "PUT, DELETE, OPTIONS"),
        ("POST", "/events".to_owned(), "GET, HEAD, OPTIONS"),
    ] {
        let method = Method::from_bytes(method.as_bytes()).expect("a token");
        let answer = Service::send(service.request(method.clone(), &path).json(&json!({ "quantity": 5 }))).await;
        answer.problem(405, "method-not-allowed");
        assert_eq!(answer.header("allow"), allow, "{method} {path}");
    }
    assert_eq!(everything(&stores).await, before);
}

#[tokio::test]
async fn log_query_outside_its_bounds_is_refused() {
    let (_stores, _fake, service) = started(1).await;
    for (query, status, field) in [
        ("limit=0", 422, "limit"),
        ("limit=501", 422, "limit"),
        ("limit=-1", 400, "limit"),
        ("limit=ten", 400, "limit"),
        ("after=-1", 400, "after"),
        ("after=99999999999999999999", 400, "after"),
        ("since=2", 400, "since"),
    ] {
        let kind = if status == 422 { "invalid-fields" } else { "malformed" };
        let problem = service.get(&format!("/events?{query}")).await.problem(status, kind);
        assert_eq!(problem["errors"][0]["field"], field, "{query}: {problem}");
    }
    let all = service.get(&format!("/events?after={}", u64::MAX)).await.expect(200).json();
    assert_eq!(all, json!({ "events": [], "head": 0 }));
}
