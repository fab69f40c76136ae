//! Redis behind sentinels: the relay finds the primary, and a failover to a replica that has missed events loses none.

use serde_json::json;
use testkit::{Sentinels, eventually};

use crate::support::{SOON, Stores, stream_of};

#[tokio::test]
async fn failover_to_a_lagging_replica_loses_no_event() {
    let (sentinels, stores) =
        (Sentinels::start().await.expect("a primary, a replica and sentinels"), Stores::start().await);
    let api = stores.api_with(&[("REDIS__URL", &sentinels.url())]).await;
    let put = async |stock: u32| api.put("/products/production/1", &json!({ "stock": stock })).await.expect(200);
    put(1).await;
    stores.until_published().await;
    assert_eq!(stream_of(&sentinels.first).await, stores.outbox().await);
    let replicated = stores.outbox().await;
    eventually("the replica has them", SOON, async || stream_of(&sentinels.second).await == replicated).await;

    sentinels.cut_replication().await.unwrap();
    for stock in 2..=4 {
        put(stock).await;
    }
    stores.until_published().await;
    assert_eq!(stream_of(&sentinels.first).await, stores.outbox().await);
    assert_eq!(stream_of(&sentinels.second).await, replicated, "the replica has missed three events");

    sentinels.fail_over().await.expect("the sentinels obey");
    put(5).await;
    sentinels.until_failed_over().await.expect("the second server is the primary");
    eventually("the second server has every event", 2 * SOON, async || {
        stream_of(&sentinels.second).await == stores.outbox().await
    })
    .await;
    put(6).await;
    eventually("events go on", 2 * SOON, async || stream_of(&sentinels.second).await == stores.outbox().await).await;
    assert_eq!(api.get("/products/production/1").await.expect(200).json()["stock"], 6);
}
