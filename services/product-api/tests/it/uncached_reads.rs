//! Reads without a cache do not use up the connections to the database.

use futures_util::future::join_all;

use testkit::eventually;

use crate::support::{SOON, Stores};

/// All categories are locked, so each of these reads keeps its connection.
#[tokio::test]
async fn uncached_reads_leave_connections_to_the_other_services() {
    let stores = Stores::start().await;
    let settings = [("POSTGRES__MAX_CONNECTIONS", "4"), ("POSTGRES__STATEMENT_TIMEOUT", "30s")];
    let api = stores.api_with(&settings).await;
    let lock = stores.database.lock("LOCK TABLE categories IN ACCESS EXCLUSIVE MODE").await;
    let blocked = join_all((0..12).map(|_| api.get("/categories")));
    let others = async {
        // From then on, all permits are taken.
        eventually("a refused read", SOON, async || api.get("/categories").await.status == 503).await;
        let events = join_all((0..4).map(|_| api.get("/events?after=0"))).await;
        lock.release().await;
        events
    };
    let (blocked, events) = tokio::join!(blocked, others);
    for response in events {
        response.expect(200);
    }
    for response in blocked {
        match response.status {
            200 => {}
            _ => {
                assert_eq!(response.header("retry-after"), "1");
                response.problem(503, "unavailable");
            }
        }
    }
}
