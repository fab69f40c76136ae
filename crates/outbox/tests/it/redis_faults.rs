//! Redis is emptied, restarted, frozen, or unreachable.

use std::time::Duration;

use outbox::consumer::{ConsumerSettings, Delivery, Resync};
use testkit::eventually;
use uuid::Uuid;

use crate::support::{AT_MOST, Fixture, GROUP, Recorder, STREAM, applied, event, reads, settings, with_member};

#[tokio::test]
async fn deleted_group_is_recreated() {
    let (fixture, recorder, consumer) = with_member().await;
    fixture.append(1..=3).await;
    applied(&recorder, 1..=3).await;
    fixture.cli("FLUSHALL").await;
    eventually("the group", AT_MOST, async || fixture.cli(&format!("EXISTS {STREAM}")).await == "1").await;
    fixture.append(2..=5).await;
    applied(&recorder, 1..=5).await;
    assert_eq!(recorder.resyncs(), [Resync::NewGroup, Resync::NewGroup]);
    consumer.stop().await;
}

#[tokio::test]
async fn restarted_redis_causes_one_resync() {
    let (fixture, recorder, consumer) = with_member().await;
    fixture.append(1..=3).await;
    applied(&recorder, 1..=3).await;
    fixture.redis.restart().await.unwrap();
    eventually("a resync", AT_MOST, async || recorder.resyncs().len() == 2).await;
    reads(&consumer).await;
    fixture.append(2..=5).await;
    applied(&recorder, 1..=5).await;
    assert_eq!(recorder.resyncs(), [Resync::NewGroup, Resync::RedisChanged]);
    consumer.stop().await;
}

#[tokio::test]
async fn restarted_redis_loses_no_event_of_a_service_with_a_position() {
    let (fixture, recorder) = (Fixture::new().await, Recorder::new());
    recorder.store_position(0);
    let consumer = fixture.member(&recorder).await;
    fixture.append(1..=3).await;
    applied(&recorder, 1..=3).await;
    fixture.redis.kill().await.unwrap();
    // Written while Redis is down, and replayed by the relay before this consumer reconnects.
    fixture.log_only(4..=6);
    fixture.redis.restart().await.unwrap();
    fixture.stream_only(1..=6).await;
    eventually("all of it", AT_MOST, async || recorder.applied().ends_with(&[4, 5, 6])).await;
    fixture.append(7..=7).await;
    applied(&recorder, 1..=7).await;
    assert_eq!(recorder.resyncs(), [Resync::RedisChanged]);
    consumer.stop().await;
}

#[tokio::test]
async fn events_with_reused_numbers_are_applied_after_a_database_restore() {
    let (fixture, recorder, consumer) = with_member().await;
    fixture.append(1..=5).await;
    applied(&recorder, 1..=5).await;
    fixture.log.clear();
    fixture.cli(&format!("DEL {STREAM}")).await;
    eventually("the group", AT_MOST, async || fixture.cli(&format!("EXISTS {STREAM}")).await == "1").await;
    for seq in 3..=5 {
        let event = event(seq).replace(&Uuid::from_u128(seq.into()).to_string(), &Uuid::now_v7().to_string());
        fixture.message(seq, "event", &event).await;
    }
    applied(&recorder, [1, 2, 3, 4, 5, 3, 4, 5]).await;
    consumer.stop().await;
}

#[tokio::test]
async fn every_process_resyncs_after_a_redis_restart() {
    let (fixture, one, two) = (Fixture::new().await, Recorder::new(), Recorder::new());
    let (first, second) = (fixture.member(&one).await, fixture.member(&two).await);
    fixture.redis.restart().await.unwrap();
    let changed = |recorder: &Recorder| recorder.resyncs().contains(&Resync::RedisChanged);
    eventually("both", AT_MOST, async || changed(&one) && changed(&two)).await;
    first.stop().await;
    second.stop().await;
}

#[tokio::test]
async fn redis_restart_is_detected_by_a_busy_member() {
    let (fixture, recorder, consumer) = with_member().await;
    recorder.hold();
    fixture.append(1..=1).await;
    eventually("the reaction to begin", AT_MOST, async || recorder.begun() == 1).await;
    fixture.redis.restart().await.unwrap();
    // A peer was faster: the group already exists.
    fixture.cli(&format!("XGROUP CREATE {STREAM} {GROUP} 0 MKSTREAM")).await;
    recorder.go();
    eventually("a resync", AT_MOST, async || recorder.resyncs().contains(&Resync::RedisChanged)).await;
    fixture.append(2..=3).await;
    applied(&recorder, 1..=3).await;
    consumer.stop().await;
}

#[tokio::test]
async fn hanging_redis_is_detected_and_no_event_is_lost() {
    let (fixture, recorder, consumer) = with_member().await;
    fixture.append(1..=3).await;
    applied(&recorder, 1..=3).await;
    fixture.redis.pause();
    eventually("it to be noticed", AT_MOST, async || !consumer.status().connected).await;
    fixture.redis.resume();
    fixture.append(4..=9).await;
    eventually("all of it", AT_MOST, async || recorder.applied().len() == 9).await;
    fixture.all_acknowledged().await;
    let mut all = recorder.applied();
    all.sort_unstable();
    assert!(all.into_iter().eq(1..=9), "each once");
    assert_eq!(recorder.resyncs(), [Resync::NewGroup], "it is the same Redis");
    reads(&consumer).await;
    consumer.stop().await;
}

#[tokio::test]
async fn broken_connection_loses_no_event() {
    let (fixture, recorder, consumer) = with_member().await;
    for seq in 1..=5 {
        fixture.cli("CLIENT KILL TYPE normal SKIPME yes").await;
        fixture.append(seq..=seq).await;
    }
    applied(&recorder, 1..=5).await;
    assert_eq!(recorder.resyncs(), [Resync::NewGroup]);
    consumer.stop().await;
}

#[tokio::test]
async fn event_with_a_failed_acknowledgement_is_not_applied_again() {
    let (fixture, recorder) = (Fixture::new().await, Recorder::new());
    // No peer claims: the next session itself claims the entries of the previous one.
    let settings = ConsumerSettings { claim_after: Duration::from_secs(3600), ..settings() };
    let consumer = fixture.start_with(&settings, Delivery::Group(GROUP), &recorder);
    reads(&consumer).await;
    recorder.hold();
    fixture.append(1..=3).await;
    eventually("the reaction to begin", AT_MOST, async || recorder.begun() == 1).await;
    fixture.cli("CLIENT KILL TYPE normal SKIPME yes").await;
    fixture.cli("ACL SETUSER default -xack").await;
    recorder.go();
    eventually("it to fail", AT_MOST, async || !consumer.status().connected).await;
    fixture.cli("ACL SETUSER default +xack").await;
    fixture.all_acknowledged().await;
    assert_eq!(recorder.applied(), [1, 2, 3]);
    consumer.stop().await;
}

#[tokio::test]
async fn hanging_redis_is_detected_during_a_long_handler_call() {
    let (fixture, recorder, consumer) = with_member().await;
    recorder.hold();
    fixture.append(1..=2).await;
    eventually("the reaction to begin", AT_MOST, async || recorder.begun() == 1).await;
    fixture.redis.pause();
    eventually("it to be seen", AT_MOST, async || !consumer.status().connected).await;
    fixture.redis.resume();
    reads(&consumer).await;
    recorder.go();
    fixture.all_acknowledged().await;
    assert_eq!(recorder.applied(), [1, 2]);
    consumer.stop().await;
}
