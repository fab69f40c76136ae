//! Settings that an administrator gives a role or a database (`ALTER ROLE … SET`) do not affect the service's own
//! sessions.

use serde_json::json;
use testkit::{FOREIGN_SETTINGS, Postgres, eventually};

use crate::support::{Api, SOON, STRATEGIES, Stores};

/// Asserts that every route that needs the database works, and that changes are recorded in the outbox.
async fn all_is_well(stores: &Stores, api: &Api, round: usize, setting: &str) {
    // The earlier sessions have been terminated.
    eventually("new sessions", SOON, async || api.get("/categories").await.status == 200).await;
    eventually("a write", SOON, async || api.put("/products/2", &json!({ "stock": round })).await.status == 200).await;
    let head = stores.settled_head().await;
    let requests = (0..14).map(|number| async move {
        let path = format!("/products/{}/{}", STRATEGIES[number % 7], number + 3);
        let stock = json!({ "stock": 1_000 + 20 * round + number });
        let put = api.put(&path, &stock).await;
        assert_eq!(put.status, 200, "{setting}: {put:?}");
        for path in ["/products?limit=5", &path, "/events?after=0&limit=5"] {
            let got = api.get(path).await;
            assert_eq!(got.status, 200, "{setting}: {got:?}");
        }
    });
    futures_util::future::join_all(requests).await;
    assert_eq!(stores.announced_after(head).await.len(), 14, "{setting}");
    let ready = async || api.get("/readyz").await.json()["status"] == "ready";
    eventually(&format!("the readiness with {setting}"), SOON, ready).await;
}

#[tokio::test]
async fn running_service_is_not_harmed_by_settings_of_its_role() {
    let (stores, postgres) = (Stores::start().await, Postgres::shared().await);
    let url = postgres.create_owner(stores.database()).await.expect("a new role");
    let api = stores.api_with(&[("POSTGRES__URL", &url)]).await;
    for (round, setting) in FOREIGN_SETTINGS.into_iter().enumerate() {
        postgres.set_for_owner(stores.database(), &[setting]).await.expect("the test's own SQL");
        all_is_well(&stores, &api, round, setting).await;
    }
    stores.whole_stream().await;
}

#[tokio::test]
async fn service_brings_up_an_empty_database_under_foreign_settings() {
    let (stores, postgres) = (Stores::start().await, Postgres::shared().await);
    let url = postgres.create_owner(stores.database()).await.expect("a new role");
    postgres.set_for_owner(stores.database(), &FOREIGN_SETTINGS).await.expect("the test's own SQL");
    let api = stores.api_with(&[("POSTGRES__URL", &url)]).await;
    all_is_well(&stores, &api, 0, "all of them").await;
    api.post("/products", &json!({ "name": "x", "price_cents": 1, "category_id": 1 })).await.expect(201);
    stores.whole_stream().await;
}
