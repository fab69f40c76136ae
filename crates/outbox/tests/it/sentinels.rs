//! Redis behind sentinels: a consumer finds the primary, and follows a failover to a replica that has missed events.

use std::ops::RangeInclusive;

use outbox::RedisAddress;
use outbox::consumer::{Consumer, Delivery, Resync, Subscription};
use testkit::{Redis, Sentinels, eventually};

use crate::support::{AT_MOST, GROUP, LETTERS, Log, ORDER_EVENTS, Recorder, STREAM, applied, event, reads, settings};

async fn append(redis: &Redis, log: &Log, numbers: RangeInclusive<u64>) {
    for seq in numbers {
        log.add(seq, serde_json::from_str(&event(seq)).unwrap());
        redis.cli(&["XADD", STREAM, &format!("{seq}-0"), "event", &event(seq)]).await.unwrap();
    }
}

#[tokio::test]
async fn failover_to_a_lagging_replica_loses_no_event() {
    let (sentinels, log, recorder) = (Sentinels::start().await.unwrap(), Log::start().await, Recorder::new());
    let Sentinels { first, second, .. } = &sentinels;
    recorder.store_position(0);
    let (delivery, dead_letters) = (Delivery::Group(GROUP), LETTERS.to_owned());
    let subscription = Subscription { source: ORDER_EVENTS, delivery, dead_letters, log: log.client() };
    let redis = RedisAddress::parse(&sentinels.url()).unwrap();
    let consumer = Consumer::start(&settings(), &redis, subscription, recorder.clone());
    reads(&consumer).await;
    append(first, &log, 1..=3).await;
    applied(&recorder, 1..=3).await;
    let is_replicated = async || second.cli(&["XLEN", STREAM]).await.unwrap() == "3";
    eventually("the replica has the events", AT_MOST, is_replicated).await;

    sentinels.cut_replication().await.unwrap();
    append(first, &log, 4..=5).await;
    applied(&recorder, 1..=5).await;
    assert_eq!(second.cli(&["XLEN", STREAM]).await.unwrap(), "3", "the replica has missed two events");
    sentinels.fail_over().await.unwrap();
    sentinels.until_failed_over().await.unwrap();
    // A server that changes its role closes all connections.
    let is_primary = async || second.cli(&["ROLE"]).await.is_ok_and(|role| role.starts_with("master"));
    eventually("the second server is the primary", AT_MOST, is_primary).await;
    // The relay appends what the new primary has missed, and a later event.
    append(second, &log, 4..=6).await;
    applied(&recorder, 1..=6).await;
    assert_eq!(recorder.resyncs(), [Resync::RedisChanged]);
    consumer.stop().await;
}
