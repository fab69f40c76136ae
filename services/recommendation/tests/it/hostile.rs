//! Hostile clients that send arbitrary bytes.

use testkit::http::{HOSTILE_SETTINGS, assert_survives_hostile_clients};

use crate::support::Stores;

#[tokio::test]
async fn hostile_clients_cause_no_5xx_and_leave_no_connection_behind() {
    let stores = Stores::start().await;
    let api = stores.product_api("0").await;
    let ours = stores.ours_with(api.url(), &HOSTILE_SETTINGS).await;
    let paths = [
        "/recommendations/1",
        "/recommendations/2",
        "/recommendations?cart=67e55044-10b1-426f-9247-bb680e5fe0c8",
        "/recommendations",
        "/cache/entries",
        "/cache/stats/recommendation:list:1",
        "/metrics",
        "/readyz",
        "/docs/",
        "/openapi.json",
        "/",
        "*",
    ];
    assert_survives_hostile_clients(&ours, &paths, 4).await;
}
