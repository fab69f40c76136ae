//! Clients that send arbitrary bytes.

use testkit::http::{HOSTILE_SETTINGS, assert_survives_hostile_clients};

use crate::support::Stores;

#[tokio::test]
async fn hostile_clients_cause_no_5xx_and_leave_no_connection_behind() {
    let stores = Stores::start().await;
    let api = stores.api_with(&HOSTILE_SETTINGS).await;
    let paths = [
        "/products",
        "/products/1",
        "/products/ttl/1",
        "/products/explicit/2",
        "/products/writethrough/3",
        "/products/tags/4",
        "/products/production/5",
        "/products/events/6",
        "/products/swr/7",
        "/products/featured",
        "/products/by-category/1",
        "/categories",
        "/categories/1",
        "/events",
        "/cache/entries",
        "/cache/stats/product:ttl:1",
        "/metrics",
        "/readyz",
        "/docs/",
        "/openapi.json",
        "/problems/not-found",
        "/",
        "*",
        "http://x/products/1",
    ];
    assert_survives_hostile_clients(&api, &paths, 1).await;
}
