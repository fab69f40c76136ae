//! The operations routes without a token: open on loopback, and closed elsewhere.

use reqwest::Method;

use crate::support::{Api, Service, Stores, TestResponse, started};

const ROUTES: [&str; 5] =
    ["/events?after=0", "/cache/entries", "/cache/stats/product:ttl:1", "/cache/feed?kind=nonsense", "/metrics"];

async fn get_with(api: &Api, path: &str, authorization: &str) -> TestResponse {
    Service::send(api.request(Method::GET, path).header("authorization", authorization)).await
}

#[tokio::test]
async fn operations_routes_are_open_on_loopback_without_a_token() {
    let (_stores, api) = started().await;
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
