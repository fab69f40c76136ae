//! One member of the group applies each event, and acknowledges it afterwards.

use outbox::consumer::{ConsumerSettings, Delivery, HandlerError, Resync};
use testkit::eventually;

use crate::support::{AT_MOST, Fixture, GROUP, Recorder, STREAM, applied, reads, settings, unavailable, with_member};

#[tokio::test]
async fn event_is_applied_and_acknowledged() {
    let (fixture, recorder, consumer) = with_member().await;
    fixture.append(1..=5).await;
    applied(&recorder, 1..=5).await;
    fixture.all_acknowledged().await;
    assert_eq!(consumer.status().position, 5);
    assert_eq!(fixture.log.asked(), 0);
}

#[tokio::test]
async fn new_group_resyncs_and_begins_with_the_next_event() {
    let (fixture, recorder) = (Fixture::new().await, Recorder::new());
    fixture.append(1..=5).await;
    let _consumer = fixture.member(&recorder).await;
    assert_eq!(recorder.resyncs(), [Resync::NewGroup]);
    fixture.append(6..=7).await;
    applied(&recorder, 6..=7).await;
}

#[tokio::test]
async fn existing_group_continues_without_a_resync() {
    let (fixture, recorder) = (Fixture::new().await, Recorder::new());
    fixture.append(1..=2).await;
    fixture.member(&Recorder::new()).await.stop().await;
    fixture.append(3..=5).await;
    let _consumer = fixture.member(&recorder).await;
    applied(&recorder, 3..=5).await;
    assert_eq!(recorder.resyncs(), []);
    assert_eq!(fixture.log.asked(), 0);
}

#[tokio::test]
async fn new_group_begins_at_the_stored_position_without_a_resync() {
    let (fixture, recorder) = (Fixture::new().await, Recorder::new());
    fixture.append(1..=5).await;
    recorder.store_position(2);
    let _consumer = fixture.start(Delivery::Group(GROUP), &recorder);
    applied(&recorder, 3..=5).await;
    assert_eq!(recorder.resyncs(), []);
}

#[tokio::test]
async fn new_group_backfills_events_that_the_stream_no_longer_has() {
    let (fixture, recorder) = (Fixture::new().await, Recorder::new());
    fixture.log_only(1..=6);
    fixture.stream_only(7..=8).await;
    recorder.store_position(2);
    let _consumer = fixture.start(Delivery::Group(GROUP), &recorder);
    eventually("all of it", AT_MOST, async || recorder.applied().iter().filter(|seq| **seq > 2).count() == 6).await;
    assert_eq!(recorder.applied(), [3, 4, 5, 6, 7, 8]);
    assert_eq!(recorder.resyncs(), []);
}

#[tokio::test]
async fn event_is_acknowledged_only_after_it_is_applied() {
    let (fixture, recorder, _consumer) = with_member().await;
    recorder.hold();
    fixture.append(1..=3).await;
    eventually("the reaction to begin", AT_MOST, async || recorder.begun() == 1).await;
    assert_eq!(fixture.pending().await, 3);
    recorder.go();
    fixture.all_acknowledged().await;
    assert_eq!(recorder.applied(), [1, 2, 3]);
}

#[tokio::test]
async fn event_delivered_twice_is_applied_once() {
    let (fixture, recorder, _consumer) = with_member().await;
    fixture.append(1..=3).await;
    applied(&recorder, 1..=3).await;
    fixture.cli(&format!("XGROUP SETID {STREAM} {GROUP} 0")).await;
    fixture.append(4..=4).await;
    applied(&recorder, 1..=4).await;
    fixture.all_acknowledged().await;
    assert_eq!(recorder.applied(), [1, 2, 3, 4]);
}

#[tokio::test]
async fn consumer_waits_for_an_unavailable_dependency() {
    let (fixture, recorder, consumer) = with_member().await;
    recorder.answer(|_| unavailable());
    fixture.append(1..=3).await;
    eventually("some attempts", AT_MOST, async || recorder.begun() >= 6).await;
    assert_eq!(fixture.pending().await, 3);
    assert!(consumer.status().connected);
    recorder.answer(|_| Ok(()));
    applied(&recorder, 1..=3).await;
    fixture.all_acknowledged().await;
    assert_eq!(fixture.reasons().await, [""; 0]);
}

#[tokio::test]
async fn consumer_status_reports_position_and_lag() {
    let (fixture, recorder, consumer) = with_member().await;
    recorder.answer(|_| unavailable());
    fixture.append(1..=7).await;
    eventually("the lag to be seen", AT_MOST, async || consumer.status().lag == 7).await;
    assert_eq!(consumer.status().position, 0);
    recorder.answer(|_| Ok(()));
    eventually("the lag to be gone", AT_MOST, async || consumer.status().lag == 0).await;
    assert_eq!(consumer.status().position, 7);
}

#[tokio::test]
async fn consumer_starts_without_redis_and_reads_when_redis_is_available() {
    let (fixture, recorder) = (Fixture::new().await, Recorder::new());
    fixture.redis.kill().await.unwrap();
    let consumer = fixture.start_with(&settings(), Delivery::Group(GROUP), &recorder);
    assert!(!consumer.status().connected);
    fixture.redis.restart().await.unwrap();
    reads(&consumer).await;
    fixture.append(1..=3).await;
    applied(&recorder, 1..=3).await;
}

#[tokio::test]
async fn group_is_created_only_after_the_resync() {
    let (fixture, recorder) = (Fixture::new().await, Recorder::new());
    recorder.resync_answer(Err(HandlerError::Unavailable("the cache is away".to_owned())));
    fixture.append(1..=2).await;
    let _consumer = fixture.start(Delivery::Group(GROUP), &recorder);
    eventually("some attempts", AT_MOST, async || recorder.resyncs().len() >= 3).await;
    assert_eq!(fixture.cli(&format!("XINFO GROUPS {STREAM}")).await, "");
    // Events that are appended while the consumer waits are delivered.
    fixture.append(3..=4).await;
    recorder.resync_answer(Ok(None));
    applied(&recorder, 3..=4).await;
}

#[tokio::test]
async fn event_handler_receives_at_most_one_batch_per_call() {
    let (fixture, recorder) = (Fixture::new().await, Recorder::new());
    let settings = ConsumerSettings { batch: 10, ..settings() };
    let consumer = fixture.start_with(&settings, Delivery::Group(GROUP), &recorder);
    reads(&consumer).await;
    fixture.append(1..=35).await;
    applied(&recorder, 1..=35).await;
    let sizes: Vec<usize> = recorder.batches().iter().map(Vec::len).collect();
    assert_eq!(sizes, [10, 10, 10, 5]);
}
