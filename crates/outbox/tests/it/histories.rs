//! The log's database is restored, and assigns numbers again that it had assigned before, to other events.

use outbox::consumer::{Delivery, Resync};
use outbox::log::LogPosition;
use testkit::eventually;
use uuid::Uuid;

use crate::support::{AT_MOST, Fixture, GROUP, Recorder, STREAM, applied, reads, settings};

/// Appends the events 1 to 6, all of one epoch.
async fn six_events() -> (Fixture, Uuid) {
    let (fixture, epoch) = (Fixture::new().await, Uuid::new_v4());
    fixture.log.begin(1, epoch);
    fixture.append_of(epoch, 1..=6).await;
    (fixture, epoch)
}

fn mark(seq: u64, epoch: Uuid) -> LogPosition {
    LogPosition { seq, epoch: Some(epoch) }
}

#[tokio::test]
async fn reader_resyncs_when_a_restored_log_grows_past_its_position() {
    for (restored, head) in [(3, 8), (3, 6), (3, 5), (0, 7)] {
        let ((fixture, _), recorder) = (six_events().await, Recorder::new());
        let consumer = fixture.start(Delivery::Log(0.into()), &recorder);
        applied(&recorder, 1..=6).await;
        let epoch = Uuid::new_v4();
        recorder.resync_answer(Ok(Some(mark(head, epoch))));
        fixture.restore(restored, epoch, restored + 1..=head).await;
        eventually("a resync", AT_MOST, async || !recorder.resyncs().is_empty()).await;
        fixture.append_of(epoch, head + 1..=head + 2).await;
        applied(&recorder, (1..=6).chain(head + 1..=head + 2)).await;
        assert_eq!(recorder.resyncs(), [Resync::OtherHistory], "restored to {restored}, then {head}");
        consumer.stop().await;
    }
}

#[tokio::test]
async fn reader_that_was_down_during_the_restore_resyncs_with_and_without_redis() {
    for is_redis_empty in [false, true] {
        let ((fixture, before), recorder) = (six_events().await, Recorder::new());
        let epoch = Uuid::new_v4();
        fixture.restore(3, epoch, 4..=9).await;
        if is_redis_empty {
            fixture.cli("FLUSHALL").await;
        }
        recorder.resync_answer(Ok(Some(mark(9, epoch))));
        let consumer = fixture.start(Delivery::Log(mark(6, before)), &recorder);
        eventually("a resync", AT_MOST, async || !recorder.resyncs().is_empty()).await;
        fixture.append_of(epoch, 10..=10).await;
        applied(&recorder, [10]).await;
        assert_eq!(recorder.resyncs(), [Resync::OtherHistory]);
        consumer.stop().await;
    }
}

#[tokio::test]
async fn reader_below_the_restored_number_continues_without_a_resync() {
    let ((fixture, before), recorder) = (six_events().await, Recorder::new());
    let epoch = Uuid::new_v4();
    fixture.restore(3, epoch, 4..=9).await;
    let _consumer = fixture.start(Delivery::Log(mark(2, before)), &recorder);
    applied(&recorder, 3..=9).await;
    assert_eq!(recorder.resyncs(), []);
}

#[tokio::test]
async fn restarted_relay_causes_no_resync() {
    let ((fixture, _), one, two) = (six_events().await, Recorder::new(), Recorder::new());
    let reader = fixture.start(Delivery::Log(0.into()), &one);
    two.store_position(0);
    let _member = fixture.member(&two).await;
    applied(&one, 1..=6).await;
    applied(&two, 1..=6).await;
    for round in 0..3 {
        let epoch = Uuid::new_v4();
        fixture.log.begin(7 + round, epoch);
        fixture.append_of(epoch, [7 + round]).await;
    }
    applied(&one, 1..=9).await;
    applied(&two, 1..=9).await;
    assert_eq!((one.resyncs(), two.resyncs()), (vec![], vec![]));
    reader.stop().await;
}

#[tokio::test]
async fn reader_waits_for_the_log_before_it_accepts_another_epoch() {
    let ((fixture, _), recorder) = (six_events().await, Recorder::new());
    let _consumer = fixture.start(Delivery::Log(0.into()), &recorder);
    applied(&recorder, 1..=6).await;
    fixture.log.away(true);
    let (epoch, asked) = (Uuid::new_v4(), fixture.log.asked());
    fixture.log.begin(7, epoch);
    fixture.append_of(epoch, 7..=7).await;
    eventually("some requests", AT_MOST, async || fixture.log.asked() >= asked + 4).await;
    assert_eq!(recorder.applied(), [1, 2, 3, 4, 5, 6]);
    fixture.log.away(false);
    applied(&recorder, 1..=7).await;
    assert_eq!(recorder.resyncs(), []);
}

#[tokio::test]
async fn member_reads_during_a_log_outage_and_resyncs_if_history_diverged() {
    for is_restored in [false, true] {
        let ((fixture, _), recorder) = (six_events().await, Recorder::new());
        let consumer = fixture.member(&recorder).await;
        let first = Uuid::new_v4();
        fixture.log.begin(7, first);
        fixture.append_of(first, 7..=7).await;
        applied(&recorder, [7]).await;
        fixture.log.away(true);
        let epoch = Uuid::new_v4();
        if is_restored {
            fixture.log.restore(6);
        }
        fixture.log.begin(if is_restored { 7 } else { 8 }, epoch);
        fixture.append_of(epoch, 8..=8).await;
        applied(&recorder, 7..=8).await;
        assert_eq!(recorder.resyncs(), [Resync::NewGroup]);
        fixture.log.away(false);
        let asked = fixture.log.asked();
        eventually("the log to be asked", AT_MOST, async || fixture.log.asked() > asked).await;
        let resyncs = if is_restored { vec![Resync::NewGroup, Resync::OtherHistory] } else { vec![Resync::NewGroup] };
        eventually("what it says", AT_MOST, async || recorder.resyncs() == resyncs).await;
        consumer.stop().await;
    }
}

#[tokio::test]
async fn service_with_a_position_resyncs_when_it_joins_after_a_restore() {
    for is_redis_empty in [false, true] {
        let ((fixture, before), recorder) = (six_events().await, Recorder::new());
        let epoch = Uuid::new_v4();
        fixture.restore(3, epoch, 4..=9).await;
        if is_redis_empty {
            fixture.cli("FLUSHALL").await;
        }
        recorder.store_position(mark(6, before));
        recorder.resync_answer(Ok(Some(mark(8, epoch))));
        let consumer = fixture.start(Delivery::Group(GROUP), &recorder);
        reads(&consumer).await;
        applied(&recorder, [9]).await;
        assert_eq!(recorder.resyncs(), [Resync::OtherHistory]);
        consumer.stop().await;
    }
}

#[tokio::test]
async fn member_resyncs_although_a_peer_has_recreated_the_group() {
    let ((fixture, before), recorder) = (six_events().await, Recorder::new());
    recorder.store_position(0);
    let _consumer = fixture.member(&recorder).await;
    applied(&recorder, 1..=6).await;
    fixture.all_acknowledged().await;
    let epoch = Uuid::new_v4();
    fixture.log.restore(3);
    fixture.log.begin(4, epoch);
    // In one script, so that this process sees one change: the relay replays the stream, and a peer has created the
    // group before.
    let script = format!(
        "redis.call('DEL', KEYS[1]) redis.call('XADD', KEYS[1], '6-0', 'event', ARGV[1])
         redis.call('XGROUP', 'CREATE', KEYS[1], '{GROUP}', '6-0') redis.call('XADD', KEYS[1], '7-0', 'event', ARGV[2])"
    );
    let events = [crate::support::event_of(epoch, 6), crate::support::event_of(epoch, 7)];
    for (seq, event) in [6, 7].into_iter().zip(&events) {
        fixture.log.add(seq, serde_json::from_str(event).unwrap());
    }
    fixture.redis.cli(&["EVAL", &script, "1", STREAM, &events[0], &events[1]]).await.unwrap();
    eventually("event 7", AT_MOST, async || recorder.applied().ends_with(&[7])).await;
    assert_eq!(recorder.resyncs(), [Resync::OtherHistory], "it was at 6 of {before}");
}

#[tokio::test]
async fn service_with_a_restored_database_receives_its_events_again() {
    let ((fixture, epoch), recorder) = (six_events().await, Recorder::new());
    recorder.store_position(0);
    let consumer = fixture.member(&recorder).await;
    applied(&recorder, 1..=6).await;
    fixture.all_acknowledged().await;
    // While the consumer runs.
    recorder.store_position(mark(2, epoch));
    applied(&recorder, [1, 2, 3, 4, 5, 6, 3, 4, 5, 6]).await;
    fixture.all_acknowledged().await;
    consumer.stop().await;
    // While the consumer is stopped.
    let again = Recorder::new();
    again.store_position(mark(4, epoch));
    let _consumer = fixture.start_with(&settings(), Delivery::Group(GROUP), &again);
    applied(&again, 5..=6).await;
    assert_eq!((recorder.resyncs(), again.resyncs()), (vec![], vec![]));
}
