//! The operations routes: open on loopback without a token, closed elsewhere, and open to requests with the token.

use reqwest::Method;
use serde_json::json;

use crate::support::{Api, Service, Stores, TestResponse};

const ROUTES: [&str; 5] =
    ["/events?after=0", "/cache/entries", "/cache/stats/product:ttl:1", "/cache/feed?kind=nonsense", "/metrics"];
const TOKEN: &str = "0123456789abcdef0123456789abcdef";

async fn get_with(api: &Api, path: &str, authorization: &str) -> TestResponse {
    Service::send(api.request(Method::GET, path).header("authorization", authorization)).await
}

#[tokio::test]
async fn operations_routes_require_the_token_when_there_is_one() {
    let stores = Stores::start().await;
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), format!("{TOKEN}\n")).expect("it is written");
    let path = file.path().to_str().expect("a plain path");
    let api = stores.api_with(&[("OPERATIONS__TOKEN_FILE", path)]).await;
    api.get("/products/ttl/1").await.expect(200);
    for route in ROUTES {
        for refused in [
            api.get(route).await,
            get_with(&api, route, "Bearer 0123456789abcdef0123456789abcdeF").await,
            get_with(&api, route, &format!("Basic {TOKEN}")).await,
            get_with(&api, route, TOKEN).await,
        ] {
            refused.problem(401, "unauthorized");
            assert_eq!(refused.header("www-authenticate"), "Bearer realm=\"operations\"", "{route}");
            assert!(!refused.text().contains(TOKEN), "{route}");
        }
        let opened = get_with(&api, route, &format!("Bearer {TOKEN}")).await;
        assert_eq!(opened.status, if route.contains("nonsense") { 422 } else { 200 }, "{route}: {}", opened.text());
    }
    for open in ["/livez", "/readyz", "/openapi.json", "/products", "/products/explicit/1"] {
        api.get(open).await.expect(200);
    }
    let description = api.get("/openapi.json").await.expect(200).json();
    assert_eq!(description["components"]["securitySchemes"]["operations_token"]["scheme"], "bearer");
    for route in ["/events", "/cache/entries", "/cache/stats/{key}", "/cache/feed"] {
        let operation = &description["paths"][route]["get"];
        assert_eq!(operation["security"], json!([{ "operations_token": [] }]), "{route}");
        assert!(operation["responses"]["401"].is_object(), "{route}");
    }
    assert!(!api.process.output().contains(TOKEN), "the log shows the token");
}

#[tokio::test]
async fn operations_routes_are_open_on_loopback_without_a_token() {
    let stores = Stores::start().await;
    let api = stores.api().await;
    api.get("/products/ttl/1").await.expect(200);
    for route in ["/events?after=0", "/cache/entries", "/cache/stats/product:ttl:1", "/metrics"] {
        api.get(route).await.expect(200);
    }
}

/// Clients on other hosts must not reach these routes, and without a token there is nothing to check.
#[tokio::test]
async fn operations_routes_are_closed_beyond_loopback_without_a_token() {
    let stores = Stores::start().await;
    let api = stores.api_with(&[("HTTP__HOST", "0.0.0.0")]).await;
    for route in ROUTES {
        api.get(route).await.problem(401, "unauthorized");
        get_with(&api, route, "Bearer ").await.problem(401, "unauthorized");
    }
    api.get("/products/ttl/1").await.expect(200);
    assert!(api.process.output().contains("OPERATIONS__TOKEN_FILE"), "the log says what is missing");
}

#[tokio::test]
async fn a_token_file_that_cannot_be_used_stops_the_start() {
    let stores = Stores::start().await;
    let empty = tempfile::NamedTempFile::new().expect("a file");
    for path in ["/nowhere/at/all", empty.path().to_str().expect("a plain path")] {
        let mut command = stores.command(&[("OPERATIONS__TOKEN_FILE", path)]);
        let output = command.output().expect("it runs");
        assert!(!output.status.success());
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(error.contains("OPERATIONS__TOKEN_FILE") && error.contains(path), "{error}");
    }
}
