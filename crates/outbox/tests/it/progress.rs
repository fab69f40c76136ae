//! A service may call its data current while its events are applied, and only for a limited time otherwise.

use std::time::Duration;

use outbox::consumer::{Consumer, ConsumerSettings, Delivery, EventProgress, HandlerError, ProgressError};
use testkit::eventually;

use crate::support::{AT_MOST, Fixture, GROUP, ORDER_EVENTS, Recorder, STREAM, applied, settings, unavailable};

const LIMIT: Duration = Duration::from_secs(3);

fn limited() -> ConsumerSettings {
    ConsumerSettings { stale_after: LIMIT, ..settings() }
}

fn start(fixture: &Fixture, delivery: Delivery, recorder: &Recorder) -> (Consumer, EventProgress) {
    let consumer = fixture.start_with(&limited(), delivery, recorder);
    let progress = EventProgress::new(ORDER_EVENTS, &limited());
    progress.follow(consumer.followed());
    (consumer, progress)
}

async fn until_ready(progress: &EventProgress) {
    eventually("the consumer to be at the end", AT_MOST, async || progress.check_ready().is_ok()).await;
}

async fn until_refused(progress: &EventProgress) {
    let refused = Err(ProgressError::Refused(STREAM));
    eventually("the refusal", AT_MOST, async || progress.verified() == refused).await;
}

async fn until_overdue(progress: &EventProgress) {
    let overdue = Err(ProgressError::Overdue(STREAM, LIMIT));
    eventually("the consumer to be overdue", AT_MOST, async || progress.verified() == overdue).await;
}

#[tokio::test]
async fn group_is_unverified_while_acl_refuses_xreadgroup() {
    let (fixture, recorder) = (Fixture::new().await, Recorder::new());
    let (_consumer, progress) = start(&fixture, Delivery::Group(GROUP), &recorder);
    until_ready(&progress).await;
    fixture.append(1..=3).await;
    applied(&recorder, 1..=3).await;
    // The consumer may still query the stream's state, but not read its events.
    fixture.cli("ACL SETUSER default -xreadgroup").await;
    until_refused(&progress).await;
    fixture.append(4..=4).await;
    assert_eq!(progress.verified(), Err(ProgressError::Refused(STREAM)));
    fixture.cli("ACL SETUSER default +xreadgroup").await;
    until_ready(&progress).await;
    applied(&recorder, 1..=4).await;
}

/// The consumer need not wait for the limit: it knows at once that its reads are refused.
#[tokio::test]
async fn refused_group_is_unverified_long_before_the_limit() {
    let (fixture, recorder) = (Fixture::new().await, Recorder::new());
    let patient = ConsumerSettings { stale_after: Duration::from_secs(600), ..settings() };
    let consumer = fixture.start_with(&patient, Delivery::Group(GROUP), &recorder);
    let progress = EventProgress::new(ORDER_EVENTS, &patient);
    progress.follow(consumer.followed());
    until_ready(&progress).await;
    fixture.cli("ACL SETUSER default -xreadgroup").await;
    until_refused(&progress).await;
    fixture.append(1..=1).await;
    assert_eq!(progress.verified(), Err(ProgressError::Refused(STREAM)));
    fixture.cli("ACL SETUSER default +xreadgroup").await;
    until_ready(&progress).await;
    applied(&recorder, 1..=1).await;
}

#[tokio::test]
async fn group_is_unverified_while_acl_refuses_its_keys() {
    let (fixture, recorder) = (Fixture::new().await, Recorder::new());
    let (_consumer, progress) = start(&fixture, Delivery::Group(GROUP), &recorder);
    until_ready(&progress).await;
    fixture.cli("ACL SETUSER default resetkeys").await;
    // As far as the test knows, no events are missed; but the consumer does not know even that.
    until_refused(&progress).await;
    fixture.cli("ACL SETUSER default allkeys").await;
    until_ready(&progress).await;
}

#[tokio::test]
async fn group_is_unverified_while_its_event_handler_fails() {
    let (fixture, recorder) = (Fixture::new().await, Recorder::new());
    let (_consumer, progress) = start(&fixture, Delivery::Group(GROUP), &recorder);
    until_ready(&progress).await;
    recorder.answer(|_| unavailable());
    fixture.append(1..=2).await;
    until_overdue(&progress).await;
    recorder.answer(|_| Ok(()));
    until_ready(&progress).await;
    assert_eq!(recorder.applied(), [1, 2]);
}

/// The stream and its group are deleted. The consumer does not create the group again before the resync succeeds.
#[tokio::test]
async fn group_is_unverified_while_its_resync_fails() {
    let (fixture, recorder) = (Fixture::new().await, Recorder::new());
    let (_consumer, progress) = start(&fixture, Delivery::Group(GROUP), &recorder);
    until_ready(&progress).await;
    recorder.resync_answer(Err(HandlerError::Unavailable("the cache is away".to_owned())));
    fixture.cli(&format!("DEL {STREAM}")).await;
    until_overdue(&progress).await;
    recorder.resync_answer(Ok(None));
    until_ready(&progress).await;
}

#[tokio::test]
async fn consumer_is_unverified_while_the_relay_does_not_append() {
    let (fixture, recorder) = (Fixture::new().await, Recorder::new());
    let (_consumer, progress) = start(&fixture, Delivery::Group(GROUP), &recorder);
    until_ready(&progress).await;
    fixture.append(1..=3).await;
    applied(&recorder, 1..=3).await;
    fixture.log_only(4..=5);
    until_overdue(&progress).await;
    fixture.stream_only(4..=5).await;
    until_ready(&progress).await;
    // Without the log, only the stream determines the newest event.
    fixture.log.away(true);
    fixture.stream_only(6..=6).await;
    applied(&recorder, 1..=6).await;
    until_ready(&progress).await;
}

#[tokio::test]
async fn log_reader_reads_the_log_while_acl_refuses_the_stream() {
    let (fixture, recorder) = (Fixture::new().await, Recorder::new());
    let (_consumer, progress) = start(&fixture, Delivery::Log(0.into()), &recorder);
    fixture.append(1..=3).await;
    applied(&recorder, 1..=3).await;
    until_ready(&progress).await;
    fixture.cli("ACL SETUSER default resetkeys").await;
    fixture.log_only(4..=6);
    applied(&recorder, 1..=6).await;
    eventually("the refusal", AT_MOST, async || progress.check_ready() == Err(ProgressError::Disconnected(STREAM)))
        .await;
    // The log says that there is no more. On a busy machine, a check of it may be late.
    eventually("the log to verify the events", AT_MOST, async || progress.verified() == Ok(())).await;
    // Without the log as well, the newest event is unknown.
    fixture.log.away(true);
    until_overdue(&progress).await;
    fixture.cli("ACL SETUSER default allkeys").await;
    fixture.stream_only(4..=6).await;
    fixture.log.away(false);
    until_ready(&progress).await;
    assert_eq!(recorder.applied().len(), 6);
}

#[tokio::test]
async fn progress_of_a_stopped_consumer_becomes_overdue() {
    let (fixture, recorder) = (Fixture::new().await, Recorder::new());
    let (consumer, progress) = start(&fixture, Delivery::Group(GROUP), &recorder);
    until_ready(&progress).await;
    consumer.stop().await;
    until_overdue(&progress).await;
}
