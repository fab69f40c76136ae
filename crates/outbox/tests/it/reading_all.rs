//! A reader of the whole log misses no event, even if Redis or the log is unavailable.

use outbox::consumer::{Delivery, Resync};
use testkit::eventually;

use crate::support::{AT_MOST, Recorder, STREAM, World, applied, reads, refused, unavailable};

#[tokio::test]
async fn log_reader_continues_after_its_position() {
    let (world, recorder) = (World::new().await, Recorder::new());
    world.append(1..=5).await;
    let consumer = world.start(Delivery::Log(2.into()), &recorder);
    applied(&recorder, 3..=5).await;
    world.append(6..=8).await;
    applied(&recorder, 3..=8).await;
    eventually("its position", AT_MOST, async || consumer.status().position == 8).await;
    consumer.stop().await;
    let again = Recorder::new();
    world.append(9..=9).await;
    let _consumer = world.start(Delivery::Log(8.into()), &again);
    applied(&again, 9..=9).await;
    assert_eq!(again.resyncs(), []);
}

#[tokio::test]
async fn events_missing_in_the_stream_are_backfilled_in_order() {
    let (world, recorder) = (World::new().await, Recorder::new());
    let consumer = world.start(Delivery::Log(0.into()), &recorder);
    reads(&consumer).await;
    world.append(1..=10).await;
    applied(&recorder, 1..=10).await;
    world.log_only(11..=1_500);
    world.append(1_501..=1_502).await;
    applied(&recorder, 1..=1_502).await;
    assert_eq!(recorder.resyncs(), []);
}

#[tokio::test]
async fn log_reader_waits_for_an_unavailable_log() {
    let (world, recorder) = (World::new().await, Recorder::new());
    let consumer = world.start(Delivery::Log(0.into()), &recorder);
    reads(&consumer).await;
    world.append(1..=2).await;
    applied(&recorder, 1..=2).await;
    world.log.away(true);
    world.log_only(3..=4);
    world.append(5..=6).await;
    let asked = world.log.asked();
    eventually("some requests", AT_MOST, async || world.log.asked() >= asked + 4).await;
    assert_eq!(recorder.applied(), [1, 2], "nothing is left out");
    world.log.away(false);
    applied(&recorder, 1..=6).await;
    assert_eq!(recorder.resyncs(), []);
}

#[tokio::test]
async fn log_reader_continues_at_the_resynced_position_after_pruning() {
    let (world, recorder) = (World::new().await, Recorder::new());
    world.log_only(1..=20);
    world.log.forget(10);
    world.stream_only(15..=20).await;
    recorder.resync_answer(Ok(Some(12.into())));
    let consumer = world.start(Delivery::Log(3.into()), &recorder);
    applied(&recorder, 13..=20).await;
    assert_eq!(recorder.resyncs(), [Resync::Gap]);
    assert_eq!(consumer.status().position, 20);
}

#[tokio::test]
async fn log_reader_reads_the_log_without_redis() {
    let (world, recorder) = (World::new().await, Recorder::new());
    let consumer = world.start(Delivery::Log(0.into()), &recorder);
    reads(&consumer).await;
    world.append(1..=2).await;
    applied(&recorder, 1..=2).await;
    world.redis.kill().await.unwrap();
    world.log_only(3..=4);
    applied(&recorder, 1..=4).await;
    eventually("the loss to be seen", AT_MOST, async || !consumer.status().connected).await;
    world.redis.restart().await.unwrap();
    reads(&consumer).await;
    world.stream_only(3..=4).await;
    world.append(5..=6).await;
    applied(&recorder, 1..=6).await;
    assert_eq!(recorder.resyncs(), [Resync::RedisChanged]);
}

#[tokio::test]
async fn log_reader_reads_the_log_while_redis_hangs() {
    let (world, recorder) = (World::new().await, Recorder::new());
    let consumer = world.start(Delivery::Log(0.into()), &recorder);
    reads(&consumer).await;
    world.append(1..=2).await;
    applied(&recorder, 1..=2).await;
    world.redis.pause();
    world.log_only(3..=4);
    applied(&recorder, 1..=4).await;
    world.redis.resume();
    world.stream_only(3..=4).await;
    world.append(5..=6).await;
    applied(&recorder, 1..=6).await;
    assert_eq!(recorder.resyncs(), []);
}

#[tokio::test]
async fn log_reader_reads_the_log_when_the_stream_is_lost() {
    let (world, recorder) = (World::new().await, Recorder::new());
    world.log_only(1..=4);
    let _consumer = world.start(Delivery::Log(2.into()), &recorder);
    applied(&recorder, 3..=4).await;
    assert_eq!(world.cli(&format!("EXISTS {STREAM}")).await, "0");
}

#[tokio::test]
async fn log_that_ends_before_the_position_is_another_history() {
    let (world, recorder) = (World::new().await, Recorder::new());
    world.append(1..=4).await;
    recorder.resync_answer(Ok(Some(0.into())));
    let consumer = world.start(Delivery::Log(5_000.into()), &recorder);
    applied(&recorder, 1..=4).await;
    assert_eq!(recorder.resyncs(), [Resync::OtherHistory]);
    assert_eq!(consumer.status().position, 4);
}

#[tokio::test]
async fn replaced_log_is_detected_on_an_intact_connection() {
    let (world, recorder) = (World::new().await, Recorder::new());
    world.append(1..=6).await;
    let _consumer = world.start(Delivery::Log(0.into()), &recorder);
    applied(&recorder, 1..=6).await;
    // Restored from a backup: the relay finds a stream that ends after its head, removes it, and continues with lower
    // numbers.
    recorder.resync_answer(Ok(Some(3.into())));
    world.log.clear();
    world.log_only(1..=3);
    world.cli(&format!("DEL {STREAM}")).await;
    world.append(4..=5).await;
    applied(&recorder, [1, 2, 3, 4, 5, 6, 4, 5]).await;
    assert_eq!(recorder.resyncs(), [Resync::OtherHistory]);
}

#[tokio::test]
async fn resync_within_a_batch_resets_the_position() {
    let (world, recorder) = (World::new().await, Recorder::new());
    world.append(1..=6).await;
    recorder.resync_answer(Ok(Some(4.into())));
    recorder.answer(|numbers| if numbers.contains(&3) { refused() } else { Ok(()) });
    let consumer = world.start(Delivery::Log(0.into()), &recorder);
    eventually("its position", AT_MOST, async || consumer.status().position == 6).await;
    assert_eq!(recorder.resyncs(), [Resync::LostEvent]);
    assert_eq!(recorder.applied(), [1, 2, 4, 5, 6, 5, 6]);
}

#[tokio::test]
async fn lag_is_reported_without_redis() {
    let (world, recorder) = (World::new().await, Recorder::new());
    world.redis.kill().await.unwrap();
    world.log_only(1..=3);
    recorder.answer(|_| unavailable());
    let consumer = world.start(Delivery::Log(0.into()), &recorder);
    eventually("an attempt", AT_MOST, async || recorder.begun() > 0).await;
    recorder.answer(|_| Ok(()));
    applied(&recorder, 1..=3).await;
    eventually("no lag", AT_MOST, async || consumer.status().lag == 0).await;
    assert_eq!(consumer.status().position, 3);
}
