//! Hostile clients that send arbitrary bytes.

use testkit::http::{HOSTILE_SETTINGS, assert_survives_hostile_clients};

use crate::support::{Product, Search, Shop};

#[tokio::test]
async fn hostile_clients_cause_no_5xx_and_leave_no_connection_behind() {
    let shop = Shop::start().await;
    shop.create(&[Product { name: "Moss Lamp", ..Product::default() }]).await;
    let search = Search::with(&shop, &HOSTILE_SETTINGS).await;
    let paths = [
        "/search",
        "/search",
        "/search?q=moss",
        "/search?q=%F0%9F%98%80",
        "/cache/entries",
        "/cache/stats/search:page:1",
        "/metrics",
        "/readyz",
        "/docs/",
        "/openapi.json",
        "/",
        "*",
    ];
    assert_survives_hostile_clients(&search, &paths, 3).await;
}
