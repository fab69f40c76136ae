//! While the relay is blocked: one log line, pauses between attempts, `degraded` in /readyz, and recovery without
//! intervention.

use std::time::Duration;

use serde_json::json;
use testkit::eventually;

use crate::support::{Api, SOON, seq, started, started_at_head};

const FAILING: &str = "the relay cannot publish events";
const RECOVERED: &str = "the relay publishes events again";

/// Returns the state of the relay in /readyz: `ok`, or the reason why the service is degraded.
async fn relay(api: &Api) -> String {
    let report = api.readiness().await;
    let check = &report["checks"]["relay"];
    match check["status"] == "ok" {
        true => "ok".to_owned(),
        false => {
            assert_eq!((&report["status"], &check["need"]), (&json!("degraded"), &json!("preferred")), "{report}");
            check["detail"].as_str().unwrap_or_default().to_owned()
        }
    }
}

async fn until_relay_is(api: &Api, reason: &str) {
    eventually(&format!("the relay to be: {reason}"), 2 * SOON, async || relay(api).await.contains(reason)).await;
}

fn lines(api: &Api, text: &str) -> Vec<String> {
    api.process.output().lines().filter(|line| line.contains(text)).map(str::to_owned).collect()
}

/// Returns the failed attempts of the only outage and its duration in seconds, as the log reports them.
async fn one_outage(api: &Api) -> (f64, f64) {
    eventually("the end of the outage to be logged", SOON, async || !lines(api, RECOVERED).is_empty()).await;
    let (failing, recovered) = (lines(api, FAILING), lines(api, RECOVERED));
    assert_eq!((failing.len(), recovered.len()), (1, 1), "{failing:#?} {recovered:#?}");
    let field = |name: &str| -> f64 {
        let (_, rest) = recovered[0].split_once(name).unwrap_or_else(|| panic!("no {name} in {recovered:?}"));
        let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
        digits.parse().unwrap_or_else(|_| panic!("no number after {name} in {recovered:?}"))
    };
    (field("failures="), field("lasted_ms=") / 1e3)
}

/// The pauses between attempts double from 50 ms to 1 s, and each is at least half as long.
fn assert_paused((failures, lasted): (f64, f64)) {
    assert!(failures >= 2.0, "it has not been tried again: {failures} failures in {lasted} s");
    assert!(failures <= 8.0 + 2.0 * lasted, "{failures} attempts in {lasted} s");
}

#[tokio::test]
async fn redis_that_is_a_replica_degrades_the_service_and_is_logged_once() {
    let (stores, api) = started().await;
    until_relay_is(&api, "ok").await;
    // As after a failover: Redis responds, and accepts no writes.
    stores.redis(&["REPLICAOF", "127.0.0.1", "1"]).await;
    stores.sql("UPDATE products SET stock = 901 WHERE id = 1").await;
    until_relay_is(&api, "waits in the outbox").await;
    let written = api.put("/products/explicit/2", &json!({ "stock": 902 })).await.expect(200);
    assert_eq!(written.source(), "fwd=method; detail=deferred");
    let report = api.readiness().await;
    let detail = report["checks"]["invalidations"]["detail"].as_str().unwrap_or_default().to_owned();
    assert!(detail.contains("deferred"), "{report}");
    tokio::time::sleep(Duration::from_secs(4)).await;
    stores.redis(&["REPLICAOF", "NO", "ONE"]).await;
    until_relay_is(&api, "ok").await;
    stores.whole_stream().await;
    assert_paused(one_outage(&api).await);
    eventually("the service to be ready", SOON, async || api.get("/readyz").await.json()["status"] == "ready").await;
}

#[tokio::test]
async fn database_that_is_read_only_degrades_the_service_and_is_logged_once() {
    let (stores, api) = started().await;
    until_relay_is(&api, "ok").await;
    let read_only = async |is_on: &str| {
        let alter = format!(
            "BEGIN READ WRITE;
             DO $$ BEGIN
               EXECUTE format('ALTER DATABASE %I SET default_transaction_read_only = {is_on}', current_database());
             END $$;
             COMMIT"
        );
        stores.sql(&alter).await;
    };
    read_only("on").await;
    // A setting of the database applies to its next sessions, and the relay begins a new session after each failure.
    let end = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
               WHERE datname = current_database() AND application_name = 'relay'";
    stores.sql(end).await;
    until_relay_is(&api, "the outbox cannot be read or written").await;
    tokio::time::sleep(Duration::from_secs(4)).await;
    read_only("off").await;
    until_relay_is(&api, "ok").await;
    stores.sql("UPDATE products SET stock = 901 WHERE id = 1").await;
    stores.whole_stream().await;
    assert_paused(one_outage(&api).await);
}

/// One batch, in which Redis refuses the invalidation of one event.
#[tokio::test]
async fn event_that_cannot_be_applied_holds_up_only_later_events() {
    let (stores, api, head) = started_at_head().await;
    // The key to which the tag's members are moved is not a set.
    let poison = "product:~drain:product:7";
    stores.redis(&["SET", poison, "not a set"]).await;
    stores.sql("UPDATE products SET stock = 901 WHERE id BETWEEN 1 AND 20").await;
    let last = async || stores.stream().await.last().map(seq);
    eventually("what comes before it", 2 * SOON, async || last().await == Some(head + 6)).await;
    until_relay_is(&api, "an invalidation cannot be repeated").await;
    assert_eq!(last().await, Some(head + 6), "its own event is announced only after the invalidation");
    stores.redis(&["DEL", poison]).await;
    assert_eq!(stores.whole_stream().await.len() as i64, head + 20);
    until_relay_is(&api, "ok").await;
}
