//! The database is temporarily read-only, as in a failover: reads continue, writes receive 503 with `Retry-After`, and
//! no restart is needed. A column's type is changed while the service runs.

use serde_json::{Value, json};
use testkit::{Postgres, eventually};

use crate::support::{Api, SOON, STRATEGIES, Stores, started};

async fn readiness(api: &Api) -> (Value, Value) {
    let report = api.readiness().await;
    (report["status"].clone(), report["checks"]["postgres-writes"].clone())
}

async fn writes_are_refused(api: &Api) {
    for strategy in STRATEGIES {
        let refused = api.put(&format!("/products/{strategy}/1"), &json!({ "stock": 1 })).await;
        refused.problem(503, "unavailable");
        assert_eq!(refused.header("retry-after"), "1");
    }
    api.post("/products", &json!({ "name": "x", "price_cents": 1, "category_id": 1 }))
        .await
        .problem(503, "unavailable");
    api.delete("/products/explicit/2").await.problem(503, "unavailable");
    api.put("/categories/1", &json!({ "name": "x" })).await.problem(503, "unavailable");
}

async fn reads_go_on(api: &Api) {
    for path in ["/products/3", "/products?limit=5", "/categories", "/products/ttl/3", "/products/by-category/1"] {
        api.get(path).await.expect(200);
    }
}

async fn everything_is_written(api: &Api) {
    eventually("the first write", SOON, async || api.put("/products/1", &json!({ "stock": 5 })).await.status == 200)
        .await;
    for round in 0..4 {
        let writes = STRATEGIES.map(|strategy| async move {
            let body = json!({ "stock": 10 + round });
            api.put(&format!("/products/{strategy}/1"), &body).await.expect(200)
        });
        futures_util::future::join_all(writes).await;
    }
    eventually("the readiness", SOON, async || readiness(api).await.0 == "ready").await;
}

#[tokio::test]
async fn read_only_database_serves_reads_refuses_writes_and_recovers() {
    let (stores, api) = started().await;
    let postgres = Postgres::shared().await;
    postgres.set_read_only(stores.database.name(), true).await.expect("the test's own SQL");
    eventually("new sessions", SOON, async || api.get("/products/3").await.status == 200).await;
    writes_are_refused(&api).await;
    reads_go_on(&api).await;
    let (status, writes) = readiness(&api).await;
    assert_eq!((status, &writes["status"]), (json!("degraded"), &json!("failing")), "{writes}");
    assert!(writes["detail"].as_str().is_some_and(|detail| detail.contains("read-only")), "{writes}");
    postgres.set_read_only(stores.database.name(), false).await.expect("the test's own SQL");
    everything_is_written(&api).await;
    stores.whole_stream().await;
}

#[tokio::test]
async fn demoted_primary_is_degraded_until_it_is_promoted() {
    let (postgres, stores) = Stores::with_own_postgres().await;
    let api = stores.api().await;
    postgres.demote().await.expect("it starts as a standby");
    eventually("a read", 2 * SOON, async || api.get("/products/3").await.status == 200).await;
    eventually("the readiness", SOON, async || api.get("/readyz").await.status == 200).await;
    writes_are_refused(&api).await;
    reads_go_on(&api).await;
    let (status, writes) = readiness(&api).await;
    assert_eq!((status, &writes["status"]), (json!("degraded"), &json!("failing")), "{writes}");
    assert!(writes["detail"].as_str().is_some_and(|detail| detail.contains("standby")), "{writes}");
    // A standby may lack a write that another replica has acknowledged: nothing would invalidate such an entry again.
    let cached = STRATEGIES.map(|strategy| format!("/products/{strategy}/5"));
    let lists = ["/products/featured".to_owned(), "/products/by-category/2".to_owned()];
    let cached: Vec<_> = cached.into_iter().chain(lists).collect();
    for path in cached.iter().chain(&cached) {
        assert_eq!(api.get(path).await.expect(200).source(), "fwd=miss; detail=not-stored", "{path}");
    }
    postgres.promote().await.expect("a standby");
    everything_is_written(&api).await;
    for path in &cached {
        eventually("a hit", SOON, async || api.get(path).await.expect(200).is_hit()).await;
    }
}

/// Sends concurrent requests, so that many connections of the pool have prepared the statements. Half of them are uncached
/// reads, which may use eight connections: more would queue, and on a busy machine for too long.
async fn all_succeed(api: &Api, round: usize) {
    let requests = (0..16).map(|number| async move {
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
    let stores = Stores::start().await;
    // On a busy machine, the logins of so many connections take seconds.
    let api = stores.api_with(&[("POSTGRES__WAIT_TIMEOUT", "30s")]).await;
    for (round, kind) in ["varchar(200)", "text", "varchar(250)"].into_iter().enumerate() {
        all_succeed(&api, round).await;
        stores.sql(&format!("ALTER TABLE products ALTER name TYPE {kind}")).await;
        // The relay's connection has its own statements.
        stores.sql(&format!("ALTER TABLE outbox_head ALTER run_id TYPE {kind}")).await;
        all_succeed(&api, round).await;
        api.get("/events?after=0&limit=5").await.expect(200);
        assert_eq!(api.readiness().await["checks"]["postgres"]["status"], "ok");
    }
    stores.whole_stream().await;
}
