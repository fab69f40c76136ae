//! The consumer detects missing numbers, and backfills them from the log or resyncs.

use outbox::consumer::{Delivery, Resync};
use testkit::eventually;

use crate::support::{AT_MOST, GROUP, Recorder, STREAM, World, applied, reads, with_member};

/// Starts a member that has applied 1 to 3.
async fn a_member_at_three(world: &World, recorder: &Recorder) -> outbox::consumer::Consumer {
    let consumer = world.member(recorder).await;
    world.append(1..=3).await;
    applied(recorder, 1..=3).await;
    consumer
}

#[tokio::test]
async fn gap_before_the_next_event_is_backfilled() {
    let (world, recorder) = (World::new().await, Recorder::new());
    let _consumer = a_member_at_three(&world, &recorder).await;
    world.log_only(4..=5);
    world.append(6..=6).await;
    applied(&recorder, 1..=6).await;
    world.all_acknowledged().await;
    assert_eq!(recorder.resyncs(), [Resync::NewGroup]);
}

#[tokio::test]
async fn gap_within_a_batch_is_backfilled_in_order() {
    let (world, recorder) = (World::new().await, Recorder::new());
    let _consumer = a_member_at_three(&world, &recorder).await;
    world.log_only(6..=7);
    world.append([4, 5, 8, 9]).await;
    applied(&recorder, 1..=9).await;
    assert_eq!(recorder.resyncs(), [Resync::NewGroup]);
}

#[tokio::test]
async fn trimmed_unread_events_are_backfilled_from_the_stored_position() {
    let (world, recorder) = (World::new().await, Recorder::new());
    a_member_at_three(&world, &Recorder::new()).await.stop().await;
    world.append(4..=9).await;
    world.cli(&format!("XTRIM {STREAM} MINID 8-0")).await;
    recorder.is_at(3);
    let _consumer = world.start(Delivery::Group(GROUP), &recorder);
    applied(&recorder, 4..=9).await;
    assert_eq!(recorder.resyncs(), []);
}

#[tokio::test]
async fn trimmed_unread_events_resync_a_service_without_a_position() {
    let (world, recorder) = (World::new().await, Recorder::new());
    a_member_at_three(&world, &Recorder::new()).await.stop().await;
    world.append(4..=9).await;
    world.cli(&format!("XTRIM {STREAM} MINID 8-0")).await;
    let _consumer = world.member(&recorder).await;
    applied(&recorder, 8..=9).await;
    assert_eq!(recorder.resyncs(), [Resync::Gap]);
}

#[tokio::test]
async fn events_trimmed_after_a_peer_has_read_them_are_not_a_gap() {
    let (world, recorder) = (World::new().await, Recorder::new());
    a_member_at_three(&world, &Recorder::new()).await.stop().await;
    world.cli(&format!("XTRIM {STREAM} MINID 3-0")).await;
    world.append(4..=5).await;
    let _consumer = world.member(&recorder).await;
    applied(&recorder, 4..=5).await;
    assert_eq!((recorder.resyncs().len(), world.log.asked()), (0, 0));
}

#[tokio::test]
async fn stream_that_begins_with_a_later_number_has_no_gap() {
    let (world, recorder, _consumer) = with_member().await;
    world.append(4_711..=4_713).await;
    applied(&recorder, 4_711..=4_713).await;
    assert_eq!((recorder.resyncs(), world.log.asked()), (vec![Resync::NewGroup], 0));
}

#[tokio::test]
async fn missing_events_that_the_log_has_pruned_cause_a_resync() {
    let (world, recorder) = (World::new().await, Recorder::new());
    let _consumer = a_member_at_three(&world, &recorder).await;
    world.log_only(4..=5);
    world.log.forget(4);
    world.append(6..=6).await;
    applied(&recorder, [1, 2, 3, 6]).await;
    world.all_acknowledged().await;
    assert_eq!(recorder.resyncs(), [Resync::NewGroup, Resync::Gap]);
}

#[tokio::test]
async fn missing_events_with_an_unavailable_log_cause_a_resync() {
    let (world, recorder) = (World::new().await, Recorder::new());
    let _consumer = a_member_at_three(&world, &recorder).await;
    world.log.away(true);
    world.append(6..=6).await;
    applied(&recorder, [1, 2, 3, 6]).await;
    world.all_acknowledged().await;
    assert_eq!(recorder.resyncs(), [Resync::NewGroup, Resync::Gap]);
}

#[tokio::test]
async fn backfill_waits_for_a_short_outage_of_the_log() {
    let (world, recorder) = (World::new().await, Recorder::new());
    let _consumer = a_member_at_three(&world, &recorder).await;
    world.log.away(true);
    world.log_only(4..=5);
    world.append(6..=6).await;
    eventually("the first request", AT_MOST, async || world.log.asked() > 0).await;
    world.log.away(false);
    applied(&recorder, 1..=6).await;
    assert_eq!(recorder.resyncs(), [Resync::NewGroup]);
}

#[tokio::test]
async fn missing_events_that_the_log_does_not_have_cause_a_resync() {
    let (world, recorder) = (World::new().await, Recorder::new());
    let _consumer = a_member_at_three(&world, &recorder).await;
    world.append([5, 8]).await;
    applied(&recorder, [1, 2, 3, 5, 8]).await;
    world.all_acknowledged().await;
    assert!(recorder.resyncs().contains(&Resync::Gap));
}

#[tokio::test]
async fn gap_is_detected_after_the_peer_that_received_it_has_died() {
    let (world, recorder) = (World::new().await, Recorder::new());
    a_member_at_three(&world, &Recorder::new()).await.stop().await;
    world.log_only(4..=5);
    world.append(6..=7).await;
    world.give_to_a_dead_peer(10).await;
    let consumer = world.start(Delivery::Group(GROUP), &recorder);
    reads(&consumer).await;
    applied(&recorder, 4..=7).await;
    assert_eq!(recorder.resyncs(), []);
}

#[tokio::test]
async fn events_in_the_stream_are_read_after_a_pruned_event() {
    let (world, recorder) = (World::new().await, Recorder::new());
    world.append(1..=6).await;
    world.cli(&format!("XTRIM {STREAM} MINID 6-0")).await;
    world.log.forget(4);
    recorder.is_at(2);
    let consumer = world.start(Delivery::Group(GROUP), &recorder);
    reads(&consumer).await;
    world.append(7..=7).await;
    applied(&recorder, [6, 7]).await;
    assert_eq!(recorder.resyncs(), [Resync::Gap]);
    assert_eq!(recorder.skipped(), [5], "what is lost does not count as missing any more");
}

#[tokio::test]
async fn group_continues_at_its_position_regardless_of_the_resync_result() {
    let (world, recorder) = (World::new().await, Recorder::new());
    recorder.resync_answer(Ok(Some(1.into())));
    let _consumer = a_member_at_three(&world, &recorder).await;
    world.log.forget(4);
    world.log_only(4..=5);
    world.append(6..=7).await;
    applied(&recorder, [1, 2, 3, 6, 7]).await;
    world.all_acknowledged().await;
}
