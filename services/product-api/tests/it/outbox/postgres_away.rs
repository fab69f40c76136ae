//! Lost notifications, lost connections, and a Postgres that is killed: the relay continues without intervention.

use std::time::Duration;

use serde_json::json;
use testkit::eventually;

use crate::support::{SOON, Stores, seq};

/// A row without a `NOTIFY`.
const UNHEARD: &str = "INSERT INTO outbox (event)
    SELECT announce('product.updated', '{\"product_id\": 5, \"version\": 1, \"category_id\": 1, \"changed\": []}')";

#[tokio::test]
async fn change_without_a_notification_is_found_by_polling() {
    let stores = Stores::start().await;
    let _api = stores.api_with(&[("RELAY__POLL", "100ms")]).await;
    for _ in 0..3 {
        let head = stores.settled_head().await;
        stores.sql(UNHEARD).await;
        eventually("the poll", SOON, async || stores.head().await == head + 1).await;
    }
    stores.whole_stream().await;
}

/// The poll interval is one hour, so only the notification can wake the relay.
#[tokio::test]
async fn a_change_is_relayed_at_once_and_not_at_the_next_poll() {
    let stores = Stores::start().await;
    let _api = stores.api_with(&[("RELAY__POLL", "1h")]).await;
    for stock in 0..5 {
        stores.sql(&format!("UPDATE products SET stock = 900 + {stock} WHERE id = 1")).await;
        stores.sql(&format!("UPDATE categories SET description = 'number {stock}' WHERE id = 1")).await;
        stores.whole_stream().await;
    }
}

#[tokio::test]
async fn connections_that_are_cut_are_made_anew_and_nothing_is_lost() {
    let stores = Stores::start().await;
    let _api = stores.api_with(&[("RELAY__POLL", "100ms")]).await;
    for (round, which) in
        ["", "AND query LIKE 'LISTEN%'", "AND query NOT LIKE 'LISTEN%'"].iter().cycle().take(12).enumerate()
    {
        stores.sql(&format!("UPDATE products SET stock = 900 + {round} WHERE id < 30")).await;
        let cut = format!(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
             WHERE datname = current_database() AND application_name = 'relay' {which}"
        );
        eventually("a connection to cut", SOON, async || stores.sql(&cut).await != "0").await;
    }
    let stream = stores.whole_stream().await;
    assert_eq!(stream.len(), 142 + 12 * 29);
}

#[tokio::test]
async fn a_postgres_that_is_killed_and_restarted_is_relayed_again() {
    let (postgres, stores) = Stores::with_own_postgres().await;
    let api = stores.api().await;
    let sql = async |sql: &str| postgres.sql("product-api", sql).await.expect("the test's own SQL");
    for round in 0..3 {
        sql(&format!("UPDATE products SET stock = 900 + {round}")).await;
        postgres.kill().await.expect("it is killed");
        // Postgres' shared memory is in use until the last backend has exited.
        eventually("the restart", SOON, async || postgres.restart().await.is_ok()).await;
        eventually("the service to get well", SOON, async || api.get("/readyz").await.status == 200).await;
        let written = api.put("/products/production/1", &json!({ "stock": 800 + round })).await.expect(200);
        let last = async || stores.stream().await.last().cloned();
        let event =
            eventually("the event", SOON, async || last().await.filter(|event| event["version"] == written.version()))
                .await;
        assert_eq!(seq(&event).to_string(), sql("SELECT seq FROM outbox_head").await);
        assert_eq!(stores.stream().await.first().map(seq), Some(1));
    }
}

/// The relay waits for a reply that does not arrive; the shutdown does not wait for the relay.
#[tokio::test]
async fn sigterm_ends_the_process_within_the_grace_time_while_postgres_hangs() {
    let (postgres, stores) = Stores::with_own_postgres().await;
    let api = stores.api_with(&[("HTTP__GRACE", "1s"), ("POSTGRES__STATEMENT_TIMEOUT", "40s")]).await;
    postgres.pause();
    tokio::time::sleep(Duration::from_millis(600)).await; // A poll is in flight.
    let exit = api.stop().await;
    postgres.resume();
    assert!(exit.code == 0 && exit.took < Duration::from_secs(20), "{exit:?}");
}
