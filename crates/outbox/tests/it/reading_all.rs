//! A reader of the whole log misses no event, even if Redis or the log is unavailable.

use outbox::consumer::{Delivery, Resync};
use testkit::eventually;

use crate::support::{AT_MOST, Fixture, Recorder, STREAM, applied, reads, refused, unavailable};

#[tokio::test]
async fn log_reader_continues_after_its_position() {
    let (fixture, recorder) = (Fixture::new().await, Recorder::new());
    fixture.append(1..=5).await;
    let consumer = fixture.start(Delivery::Log(2.into()), &recorder);
    applied(&recorder, 3..=5).await;
    fixture.append(6..=8).await;
    applied(&recorder, 3..=8).await;
    eventually("its position", AT_MOST, async || consumer.status().position == 8).await;
    consumer.stop().await;
    let again = Recorder::new();
    fixture.append(9..=9).await;
    let _consumer = fixture.start(Delivery::Log(8.into()), &again);
    applied(&again, 9..=9).await;
    assert_eq!(again.resyncs(), []);
}

#[tokio::test]
async fn events_missing_in_the_stream_are_backfilled_in_order() {
    let (fixture, recorder) = (Fixture::new().await, Recorder::new());
    let consumer = fixture.start(Delivery::Log(0.into()), &recorder);
    reads(&consumer).await;
    fixture.append(1..=10).await;
    applied(&recorder, 1..=10).await;
    fixture.log_only(11..=1_500);
    fixture.append(1_501..=1_502).await;
    applied(&recorder, 1..=1_502).await;
    assert_eq!(recorder.resyncs(), []);
}

#[tokio::test]
async fn log_reader_waits_for_an_unavailable_log() {
    let (fixture, recorder) = (Fixture::new().await, Recorder::new());
    let consumer = fixture.start(Delivery::Log(0.into()), &recorder);
    reads(&consumer).await;
    fixture.append(1..=2).await;
    applied(&recorder, 1..=2).await;
    fixture.log.away(true);
    fixture.log_only(3..=4);
    fixture.append(5..=6).await;
    let asked = fixture.log.asked();
    eventually("some requests", AT_MOST, async || fixture.log.asked() >= asked + 4).await;
    assert_eq!(recorder.applied(), [1, 2], "nothing is left out");
    fixture.log.away(false);
    applied(&recorder, 1..=6).await;
    assert_eq!(recorder.resyncs(), []);
}

#[tokio::test]
async fn log_reader_continues_at_the_resynced_position_after_pruning() {
    let (fixture, recorder) = (Fixture::new().await, Recorder::new());
    fixture.log_only(1..=20);
    fixture.log.forget(10);
    fixture.stream_only(15..=20).await;
    recorder.resync_answer(Ok(Some(12.into())));
    let consumer = fixture.start(Delivery::Log(3.into()), &recorder);
    applied(&recorder, 13..=20).await;
    assert_eq!(recorder.resyncs(), [Resync::Gap]);
    assert_eq!(consumer.status().position, 20);
}

#[tokio::test]
async fn log_reader_reads_the_log_without_redis() {
    let (fixture, recorder) = (Fixture::new().await, Recorder::new());
    let consumer = fixture.start(Delivery::Log(0.into()), &recorder);
    reads(&consumer).await;
    fixture.append(1..=2).await;
    applied(&recorder, 1..=2).await;
    fixture.redis.kill().await.unwrap();
    fixture.log_only(3..=4);
    applied(&recorder, 1..=4).await;
    eventually("the loss to be seen", AT_MOST, async || !consumer.status().connected).await;
    fixture.redis.restart().await.unwrap();
    reads(&consumer).await;
    fixture.stream_only(3..=4).await;
    fixture.append(5..=6).await;
    applied(&recorder, 1..=6).await;
    assert_eq!(recorder.resyncs(), [Resync::RedisChanged]);
}

#[tokio::test]
async fn log_reader_reads_the_log_while_redis_hangs() {
    let (fixture, recorder) = (Fixture::new().await, Recorder::new());
    let consumer = fixture.start(Delivery::Log(0.into()), &recorder);
    reads(&consumer).await;
    fixture.append(1..=2).await;
    applied(&recorder, 1..=2).await;
    fixture.redis.pause();
    fixture.log_only(3..=4);
    applied(&recorder, 1..=4).await;
    fixture.redis.resume();
    fixture.stream_only(3..=4).await;
    fixture.append(5..=6).await;
    applied(&recorder, 1..=6).await;
    assert_eq!(recorder.resyncs(), []);
}

#[tokio::test]
async fn log_reader_reads_the_log_when_the_stream_is_lost() {
    let (fixture, recorder) = (Fixture::new().await, Recorder::new());
    fixture.log_only(1..=4);
    let _consumer = fixture.start(Delivery::Log(2.into()), &recorder);
    applied(&recorder, 3..=4).await;
    assert_eq!(fixture.cli(&format!("EXISTS {STREAM}")).await, "0");
}

#[tokio::test]
async fn log_that_ends_before_the_position_is_another_history() {
    let (fixture, recorder) = (Fixture::new().await, Recorder::new());
    fixture.append(1..=4).await;
    recorder.resync_answer(Ok(Some(0.into())));
    let consumer = fixture.start(Delivery::Log(5_000.into()), &recorder);
    applied(&recorder, 1..=4).await;
    assert_eq!(recorder.resyncs(), [Resync::OtherHistory]);
    assert_eq!(consumer.status().position, 4);
}

#[tokio::test]
async fn replaced_log_is_detected_on_an_intact_connection() {
    let (fixture, recorder) = (Fixture::new().await, Recorder::new());
    fixture.append(1..=6).await;
    let _consumer = fixture.start(Delivery::Log(0.into()), &recorder);
    applied(&recorder, 1..=6).await;
    // Restored from a backup: the relay finds a stream that ends after its head, removes it, and continues with lower
    // numbers.
    recorder.resync_answer(Ok(Some(3.into())));
    fixture.log.clear();
    fixture.log_only(1..=3);
    fixture.cli(&format!("DEL {STREAM}")).await;
    fixture.append(4..=5).await;
    applied(&recorder, [1, 2, 3, 4, 5, 6, 4, 5]).await;
    assert_eq!(recorder.resyncs(), [Resync::OtherHistory]);
}

#[tokio::test]
async fn resync_within_a_batch_resets_the_position() {
    let (fixture, recorder) = (Fixture::new().await, Recorder::new());
    fixture.append(1..=6).await;
    recorder.resync_answer(Ok(Some(4.into())));
    recorder.answer(|numbers| if numbers.contains(&3) { refused() } else { Ok(()) });
    let consumer = fixture.start(Delivery::Log(0.into()), &recorder);
    eventually("its position", AT_MOST, async || consumer.status().position == 6).await;
    assert_eq!(recorder.resyncs(), [Resync::LostEvent]);
    assert_eq!(recorder.applied(), [1, 2, 4, 5, 6, 5, 6]);
}

#[tokio::test]
async fn lag_is_reported_without_redis() {
    let (fixture, recorder) = (Fixture::new().await, Recorder::new());
    fixture.redis.kill().await.unwrap();
    fixture.log_only(1..=3);
    recorder.answer(|_| unavailable());
    let consumer = fixture.start(Delivery::Log(0.into()), &recorder);
    eventually("an attempt", AT_MOST, async || recorder.begun() > 0).await;
    recorder.answer(|_| Ok(()));
    applied(&recorder, 1..=3).await;
    eventually("no lag", AT_MOST, async || consumer.status().lag == 0).await;
    assert_eq!(consumer.status().position, 3);
}
