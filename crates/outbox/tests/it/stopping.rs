//! A consumer shuts down gracefully.

use std::time::Duration;

use outbox::consumer::Delivery;
use testkit::eventually;

use crate::support::{AT_MOST, Fixture, GROUP, Recorder, STREAM, reads, unavailable, with_member};

#[tokio::test]
async fn stop_waits_for_the_event_handler_and_acknowledges_its_events() {
    let (fixture, recorder, consumer) = with_member().await;
    recorder.hold();
    fixture.append(1..=3).await;
    eventually("the reaction to begin", AT_MOST, async || recorder.begun() == 1).await;
    let stopping = tokio::spawn(consumer.stop());
    let _ = tokio::time::timeout(Duration::from_millis(50), async {
        while !stopping.is_finished() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert!(!stopping.is_finished());
    recorder.go();
    stopping.await.unwrap();
    assert_eq!(recorder.applied(), [1, 2, 3]);
    assert_eq!(fixture.pending().await, 0);
    assert_eq!(fixture.cli(&format!("XINFO CONSUMERS {STREAM} {GROUP}")).await, "", "it leaves the group");
}

#[tokio::test]
async fn stop_does_not_wait_for_an_unavailable_dependency() {
    let (fixture, recorder, consumer) = with_member().await;
    recorder.answer(|_| unavailable());
    fixture.append(1..=3).await;
    eventually("an attempt", AT_MOST, async || recorder.begun() >= 1).await;
    consumer.stop().await;
    assert_eq!(fixture.pending().await, 3, "left to a peer");
}

#[tokio::test]
async fn stopped_consumer_leaves_no_connection_open() {
    let (fixture, recorder) = (Fixture::new().await, Recorder::new());
    let before = fixture.cli("CLIENT LIST").await.lines().count();
    for delivery in [Delivery::Group(GROUP), Delivery::Log(0.into())] {
        let consumer = fixture.start(delivery, &recorder);
        reads(&consumer).await;
        assert_eq!(fixture.cli("CLIENT LIST").await.lines().count(), before + 2);
        consumer.stop().await;
        let is_as_before = async || fixture.cli("CLIENT LIST").await.lines().count() == before;
        eventually("the connections to be closed", AT_MOST, is_as_before).await;
    }
}

#[tokio::test]
async fn dropped_consumer_stops() {
    let (fixture, recorder) = (Fixture::new().await, Recorder::new());
    let mut status = fixture.member(&recorder).await.watch();
    eventually("the task to end", AT_MOST, async || status.changed().await.is_err()).await;
}
