//! Redis is emptied, restarted, frozen, or unreachable.

use std::time::Duration;

use outbox::consumer::{ConsumerSettings, Delivery, Resync};
use testkit::eventually;
use uuid::Uuid;

use crate::support::{AT_MOST, GROUP, Recorder, STREAM, World, applied, event, reads, settings, with_member};

#[tokio::test]
async fn deleted_group_is_recreated() {
    let (world, recorder, consumer) = with_member().await;
    world.append(1..=3).await;
    applied(&recorder, 1..=3).await;
    world.cli("FLUSHALL").await;
    eventually("the group", AT_MOST, async || world.cli(&format!("EXISTS {STREAM}")).await == "1").await;
    world.append(2..=5).await;
    applied(&recorder, 1..=5).await;
    assert_eq!(recorder.resyncs(), [Resync::NewGroup, Resync::NewGroup]);
    consumer.stop().await;
}

#[tokio::test]
async fn restarted_redis_causes_one_resync() {
    let (world, recorder, consumer) = with_member().await;
    world.append(1..=3).await;
    applied(&recorder, 1..=3).await;
    world.redis.restart().await.unwrap();
    eventually("a resync", AT_MOST, async || recorder.resyncs().len() == 2).await;
    reads(&consumer).await;
    world.append(2..=5).await;
    applied(&recorder, 1..=5).await;
    assert_eq!(recorder.resyncs(), [Resync::NewGroup, Resync::RedisChanged]);
    consumer.stop().await;
}

#[tokio::test]
async fn restarted_redis_loses_no_event_of_a_service_with_a_position() {
    let (world, recorder) = (World::new().await, Recorder::new());
    recorder.is_at(0);
    let consumer = world.member(&recorder).await;
    world.append(1..=3).await;
    applied(&recorder, 1..=3).await;
    world.redis.kill().await.unwrap();
    // Written while Redis is down, and replayed by the relay before this consumer reconnects.
    world.log_only(4..=6);
    world.redis.restart().await.unwrap();
    world.stream_only(1..=6).await;
    eventually("all of it", AT_MOST, async || recorder.applied().ends_with(&[4, 5, 6])).await;
    world.append(7..=7).await;
    applied(&recorder, 1..=7).await;
    assert_eq!(recorder.resyncs(), [Resync::RedisChanged]);
    consumer.stop().await;
}

#[tokio::test]
async fn events_with_reused_numbers_are_applied_after_a_database_restore() {
    let (world, recorder, consumer) = with_member().await;
    world.append(1..=5).await;
    applied(&recorder, 1..=5).await;
    world.log.clear();
    world.cli(&format!("DEL {STREAM}")).await;
    eventually("the group", AT_MOST, async || world.cli(&format!("EXISTS {STREAM}")).await == "1").await;
    for seq in 3..=5 {
        let event = event(seq).replace(&Uuid::from_u128(seq.into()).to_string(), &Uuid::now_v7().to_string());
        world.message(seq, "event", &event).await;
    }
    applied(&recorder, [1, 2, 3, 4, 5, 3, 4, 5]).await;
    consumer.stop().await;
}

#[tokio::test]
async fn every_process_resyncs_after_a_redis_restart() {
    let (world, one, two) = (World::new().await, Recorder::new(), Recorder::new());
    let (first, second) = (world.member(&one).await, world.member(&two).await);
    world.redis.restart().await.unwrap();
    let changed = |recorder: &Recorder| recorder.resyncs().contains(&Resync::RedisChanged);
    eventually("both", AT_MOST, async || changed(&one) && changed(&two)).await;
    first.stop().await;
    second.stop().await;
}

#[tokio::test]
async fn redis_restart_is_detected_by_a_busy_member() {
    let (world, recorder, consumer) = with_member().await;
    recorder.hold();
    world.append(1..=1).await;
    eventually("the reaction to begin", AT_MOST, async || recorder.begun() == 1).await;
    world.redis.restart().await.unwrap();
    // A peer was faster: the group already exists.
    world.cli(&format!("XGROUP CREATE {STREAM} {GROUP} 0 MKSTREAM")).await;
    recorder.go();
    eventually("a resync", AT_MOST, async || recorder.resyncs().contains(&Resync::RedisChanged)).await;
    world.append(2..=3).await;
    applied(&recorder, 1..=3).await;
    consumer.stop().await;
}

#[tokio::test]
async fn hanging_redis_is_detected_and_no_event_is_lost() {
    let (world, recorder, consumer) = with_member().await;
    world.append(1..=3).await;
    applied(&recorder, 1..=3).await;
    world.redis.pause();
    eventually("it to be noticed", AT_MOST, async || !consumer.status().connected).await;
    world.redis.resume();
    world.append(4..=9).await;
    eventually("all of it", AT_MOST, async || recorder.applied().len() == 9).await;
    world.all_acknowledged().await;
    let mut all = recorder.applied();
    all.sort_unstable();
    assert!(all.into_iter().eq(1..=9), "each once");
    assert_eq!(recorder.resyncs(), [Resync::NewGroup], "it is the same Redis");
    reads(&consumer).await;
    consumer.stop().await;
}

#[tokio::test]
async fn broken_connection_loses_no_event() {
    let (world, recorder, consumer) = with_member().await;
    for seq in 1..=5 {
        world.cli("CLIENT KILL TYPE normal SKIPME yes").await;
        world.append(seq..=seq).await;
    }
    applied(&recorder, 1..=5).await;
    assert_eq!(recorder.resyncs(), [Resync::NewGroup]);
    consumer.stop().await;
}

#[tokio::test]
async fn event_with_a_failed_acknowledgement_is_not_applied_again() {
    let (world, recorder) = (World::new().await, Recorder::new());
    // No peer claims: the next session itself claims the entries of the previous one.
    let settings = ConsumerSettings { claim_after: Duration::from_secs(3600), ..settings() };
    let consumer = world.start_with(&settings, Delivery::Group(GROUP), &recorder);
    reads(&consumer).await;
    recorder.hold();
    world.append(1..=3).await;
    eventually("the reaction to begin", AT_MOST, async || recorder.begun() == 1).await;
    world.cli("CLIENT KILL TYPE normal SKIPME yes").await;
    world.cli("ACL SETUSER default -xack").await;
    recorder.go();
    eventually("it to fail", AT_MOST, async || !consumer.status().connected).await;
    world.cli("ACL SETUSER default +xack").await;
    world.all_acknowledged().await;
    assert_eq!(recorder.applied(), [1, 2, 3]);
    consumer.stop().await;
}

#[tokio::test]
async fn hanging_redis_is_detected_during_a_long_handler_call() {
    let (world, recorder, consumer) = with_member().await;
    recorder.hold();
    world.append(1..=2).await;
    eventually("the reaction to begin", AT_MOST, async || recorder.begun() == 1).await;
    world.redis.pause();
    eventually("it to be seen", AT_MOST, async || !consumer.status().connected).await;
    world.redis.resume();
    reads(&consumer).await;
    recorder.go();
    world.all_acknowledged().await;
    assert_eq!(recorder.applied(), [1, 2]);
    consumer.stop().await;
}
