//! A column's type is changed while the service runs.

use serde_json::json;

use crate::support::{Api, STRATEGIES, started};

/// Sends concurrent requests, so that every connection of the pool has prepared each statement.
async fn all_succeed(api: &Api, round: usize) {
    let requests = (0..24).map(|number| async move {
        let id = number % 8 + 1;
        match number % 4 {
            0 => api.get("/products?limit=5").await,
            1 => api.get(&format!("/products/{id}")).await,
            2 => api.put(&format!("/products/{id}"), &json!({ "stock": 100 * round + number })).await,
            _ => {
                api.put(
                    &format!("/products/{}/{id}", STRATEGIES[number % STRATEGIES.len()]),
                    &json!({ "stock": number }),
                )
                .await
            }
        }
        .expect(200)
    });
    futures_util::future::join_all(requests).await;
}

#[tokio::test]
async fn column_type_changed_online_fails_no_request() {
    let (stores, api) = started().await;
    for (round, kind) in ["varchar(200)", "text", "varchar(250)"].into_iter().enumerate() {
        all_succeed(&api, round).await;
        stores.sql(&format!("ALTER TABLE products ALTER name TYPE {kind}")).await;
        // The relay's connection has its own statements.
        stores.sql(&format!("ALTER TABLE outbox_head ALTER run_id TYPE {kind}")).await;
        all_succeed(&api, round).await;
        api.get("/events?after=0&limit=5").await.expect(200);
        assert_eq!(api.get("/readyz").await.expect(200).json()["checks"]["postgres"]["status"], "ok");
    }
    stores.whole_stream().await;
}
