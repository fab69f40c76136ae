//! The consumer detects missing numbers, and backfills them from the log or resyncs.

use outbox::consumer::{Delivery, Resync};
use testkit::eventually;

use crate::support::{AT_MOST, Fixture, GROUP, Recorder, STREAM, applied, reads, with_member};

/// Starts a member that has applied 1 to 3.
async fn a_member_at_three(fixture: &Fixture, recorder: &Recorder) -> outbox::consumer::Consumer {
    let consumer = fixture.member(recorder).await;
    fixture.append(1..=3).await;
    applied(recorder, 1..=3).await;
    consumer
}

#[tokio::test]
async fn gap_before_the_next_event_is_backfilled() {
    let (fixture, recorder) = (Fixture::new().await, Recorder::new());
    let _consumer = a_member_at_three(&fixture, &recorder).await;
    fixture.log_only(4..=5);
    fixture.append(6..=6).await;
    applied(&recorder, 1..=6).await;
    fixture.all_acknowledged().await;
    assert_eq!(recorder.resyncs(), [Resync::NewGroup]);
}

#[tokio::test]
async fn gap_within_a_batch_is_backfilled_in_order() {
    let (fixture, recorder) = (Fixture::new().await, Recorder::new());
    let _consumer = a_member_at_three(&fixture, &recorder).await;
    fixture.log_only(6..=7);
    fixture.append([4, 5, 8, 9]).await;
    applied(&recorder, 1..=9).await;
    assert_eq!(recorder.resyncs(), [Resync::NewGroup]);
}

#[tokio::test]
async fn trimmed_unread_events_are_backfilled_from_the_stored_position() {
    let (fixture, recorder) = (Fixture::new().await, Recorder::new());
    a_member_at_three(&fixture, &Recorder::new()).await.stop().await;
    fixture.append(4..=9).await;
    fixture.cli(&format!("XTRIM {STREAM} MINID 8-0")).await;
    recorder.store_position(3);
    let _consumer = fixture.start(Delivery::Group(GROUP), &recorder);
    applied(&recorder, 4..=9).await;
    assert_eq!(recorder.resyncs(), []);
}

#[tokio::test]
async fn trimmed_unread_events_resync_a_service_without_a_position() {
    let (fixture, recorder) = (Fixture::new().await, Recorder::new());
    a_member_at_three(&fixture, &Recorder::new()).await.stop().await;
    fixture.append(4..=9).await;
    fixture.cli(&format!("XTRIM {STREAM} MINID 8-0")).await;
    let _consumer = fixture.member(&recorder).await;
    applied(&recorder, 8..=9).await;
    assert_eq!(recorder.resyncs(), [Resync::Gap]);
}

#[tokio::test]
async fn events_trimmed_after_a_peer_has_read_them_are_not_a_gap() {
    let (fixture, recorder) = (Fixture::new().await, Recorder::new());
    a_member_at_three(&fixture, &Recorder::new()).await.stop().await;
    fixture.cli(&format!("XTRIM {STREAM} MINID 3-0")).await;
    fixture.append(4..=5).await;
    let _consumer = fixture.member(&recorder).await;
    applied(&recorder, 4..=5).await;
    assert_eq!((recorder.resyncs().len(), fixture.log.asked()), (0, 0));
}

#[tokio::test]
async fn stream_that_begins_with_a_later_number_has_no_gap() {
    let (fixture, recorder, _consumer) = with_member().await;
    fixture.append(4_711..=4_713).await;
    applied(&recorder, 4_711..=4_713).await;
    assert_eq!((recorder.resyncs(), fixture.log.asked()), (vec![Resync::NewGroup], 0));
}

#[tokio::test]
async fn missing_events_that_the_log_has_pruned_cause_a_resync() {
    let (fixture, recorder) = (Fixture::new().await, Recorder::new());
    let _consumer = a_member_at_three(&fixture, &recorder).await;
    fixture.log_only(4..=5);
    fixture.log.forget(4);
    fixture.append(6..=6).await;
    applied(&recorder, [1, 2, 3, 6]).await;
    fixture.all_acknowledged().await;
    assert_eq!(recorder.resyncs(), [Resync::NewGroup, Resync::Gap]);
}

#[tokio::test]
async fn missing_events_with_an_unavailable_log_cause_a_resync() {
    let (fixture, recorder) = (Fixture::new().await, Recorder::new());
    let _consumer = a_member_at_three(&fixture, &recorder).await;
    fixture.log.away(true);
    fixture.append(6..=6).await;
    applied(&recorder, [1, 2, 3, 6]).await;
    fixture.all_acknowledged().await;
    assert_eq!(recorder.resyncs(), [Resync::NewGroup, Resync::Gap]);
}

#[tokio::test]
async fn backfill_waits_for_a_short_outage_of_the_log() {
    let (fixture, recorder) = (Fixture::new().await, Recorder::new());
    let _consumer = a_member_at_three(&fixture, &recorder).await;
    fixture.log.away(true);
    fixture.log_only(4..=5);
    fixture.append(6..=6).await;
    eventually("the first request", AT_MOST, async || fixture.log.asked() > 0).await;
    fixture.log.away(false);
    applied(&recorder, 1..=6).await;
    assert_eq!(recorder.resyncs(), [Resync::NewGroup]);
}

#[tokio::test]
async fn missing_events_that_the_log_does_not_have_cause_a_resync() {
    let (fixture, recorder) = (Fixture::new().await, Recorder::new());
    let _consumer = a_member_at_three(&fixture, &recorder).await;
    fixture.append([5, 8]).await;
    applied(&recorder, [1, 2, 3, 5, 8]).await;
    fixture.all_acknowledged().await;
    assert!(recorder.resyncs().contains(&Resync::Gap));
}

#[tokio::test]
async fn gap_is_detected_after_the_peer_that_received_it_has_died() {
    let (fixture, recorder) = (Fixture::new().await, Recorder::new());
    a_member_at_three(&fixture, &Recorder::new()).await.stop().await;
    fixture.log_only(4..=5);
    fixture.append(6..=7).await;
    fixture.give_to_a_dead_peer(10).await;
    let consumer = fixture.start(Delivery::Group(GROUP), &recorder);
    reads(&consumer).await;
    applied(&recorder, 4..=7).await;
    assert_eq!(recorder.resyncs(), []);
}

#[tokio::test]
async fn events_in_the_stream_are_read_after_a_pruned_event() {
    let (fixture, recorder) = (Fixture::new().await, Recorder::new());
    fixture.append(1..=6).await;
    fixture.cli(&format!("XTRIM {STREAM} MINID 6-0")).await;
    fixture.log.forget(4);
    recorder.store_position(2);
    let consumer = fixture.start(Delivery::Group(GROUP), &recorder);
    reads(&consumer).await;
    fixture.append(7..=7).await;
    applied(&recorder, [6, 7]).await;
    assert_eq!(recorder.resyncs(), [Resync::Gap]);
    assert_eq!(recorder.skipped(), [5], "what is lost does not count as missing any more");
}

#[tokio::test]
async fn group_continues_at_its_position_regardless_of_the_resync_result() {
    let (fixture, recorder) = (Fixture::new().await, Recorder::new());
    recorder.resync_answer(Ok(Some(1.into())));
    let _consumer = a_member_at_three(&fixture, &recorder).await;
    fixture.log.forget(4);
    fixture.log_only(4..=5);
    fixture.append(6..=7).await;
    applied(&recorder, [1, 2, 3, 6, 7]).await;
    fixture.all_acknowledged().await;
}
