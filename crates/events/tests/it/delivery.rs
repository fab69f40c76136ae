//! Each event is carried out by one member of the group, and acknowledged after that.

use std::time::Duration;

use events::consumer::{Reading, Resync};
use testkit::eventually;

use crate::support::{AT_MOST, CLAIM, GROUP, Recorder, STREAM, World, applied, reads, settings, unavailable};

#[tokio::test]
async fn an_event_is_carried_out_and_acknowledged() {
    let (world, recorder) = (World::new().await, Recorder::new());
    let consumer = world.member(&recorder).await;
    world.append(1..=5).await;
    applied(&recorder, 1..=5).await;
    world.all_acknowledged().await;
    assert_eq!(consumer.status().position, 5);
    assert_eq!(world.log.asked(), 0);
    consumer.stop().await;
}

#[tokio::test]
async fn a_new_group_drops_everything_and_begins_with_what_comes_next() {
    let (world, recorder) = (World::new().await, Recorder::new());
    world.append(1..=5).await;
    let consumer = world.member(&recorder).await;
    assert_eq!(recorder.resyncs(), [Resync::NewGroup]);
    world.append(6..=7).await;
    applied(&recorder, 6..=7).await;
    consumer.stop().await;
}

#[tokio::test]
async fn a_group_that_exists_goes_on_where_it_was_without_dropping_anything() {
    let (world, recorder) = (World::new().await, Recorder::new());
    world.append(1..=2).await;
    world.member(&Recorder::new()).await.stop().await;
    world.append(3..=5).await;
    let consumer = world.member(&recorder).await;
    applied(&recorder, 3..=5).await;
    assert_eq!(recorder.resyncs(), []);
    assert_eq!(world.log.asked(), 0);
    consumer.stop().await;
}

#[tokio::test]
async fn a_new_group_that_knows_its_position_begins_after_it_and_drops_nothing() {
    let (world, recorder) = (World::new().await, Recorder::new());
    world.append(1..=5).await;
    let consumer = world.start(Reading::GroupFrom(GROUP, 2), &recorder);
    applied(&recorder, 3..=5).await;
    assert_eq!(recorder.resyncs(), []);
    consumer.stop().await;
}

#[tokio::test]
async fn a_new_group_fetches_what_the_stream_no_longer_holds() {
    let (world, recorder) = (World::new().await, Recorder::new());
    world.log_only(1..=6);
    world.stream_only(7..=8).await;
    let consumer = world.start(Reading::GroupFrom(GROUP, 2), &recorder);
    eventually("all of it", AT_MOST, async || recorder.applied().iter().filter(|seq| **seq > 2).count() == 6).await;
    assert_eq!(recorder.applied(), [3, 4, 5, 6, 7, 8]);
    assert_eq!(recorder.resyncs(), []);
    consumer.stop().await;
}

#[tokio::test]
async fn nothing_is_acknowledged_before_it_is_carried_out() {
    let (world, recorder) = (World::new().await, Recorder::new());
    let consumer = world.member(&recorder).await;
    recorder.hold();
    world.append(1..=3).await;
    eventually("the reaction to begin", AT_MOST, async || recorder.begun() == 1).await;
    assert_eq!(world.pending().await, 3);
    recorder.go();
    world.all_acknowledged().await;
    assert_eq!(recorder.applied(), [1, 2, 3]);
    consumer.stop().await;
}

#[tokio::test]
async fn an_event_that_is_delivered_twice_is_carried_out_once() {
    let (world, recorder) = (World::new().await, Recorder::new());
    let consumer = world.member(&recorder).await;
    world.append(1..=3).await;
    applied(&recorder, 1..=3).await;
    world.cli(&format!("XGROUP SETID {STREAM} {GROUP} 0")).await;
    world.append(4..=4).await;
    applied(&recorder, 1..=4).await;
    world.all_acknowledged().await;
    assert_eq!(recorder.applied(), [1, 2, 3, 4]);
    consumer.stop().await;
}

#[tokio::test]
async fn what_is_away_is_waited_for() {
    let (world, recorder) = (World::new().await, Recorder::new());
    let consumer = world.member(&recorder).await;
    recorder.answer(|_| unavailable());
    world.append(1..=3).await;
    eventually("some attempts", AT_MOST, async || recorder.begun() >= 6).await;
    assert_eq!(world.pending().await, 3);
    assert!(consumer.status().connected);
    recorder.answer(|_| Ok(()));
    applied(&recorder, 1..=3).await;
    world.all_acknowledged().await;
    assert_eq!(world.reasons().await, [""; 0]);
    consumer.stop().await;
}

#[tokio::test]
async fn two_members_share_the_events_and_miss_none() {
    let (world, one, two) = (World::new().await, Recorder::new(), Recorder::new());
    let (first, second) = (world.member(&one).await, world.member(&two).await);
    for thousand in 0..10 {
        world.append(thousand * 1_000 + 1..=thousand * 1_000 + 1_000).await;
    }
    eventually("all events", AT_MOST, async || one.applied().len() + two.applied().len() >= 10_000).await;
    let mut all = [one.applied(), two.applied()].concat();
    all.sort_unstable();
    assert!(all.iter().copied().eq(1..=10_000), "each once");
    assert!(!one.applied().is_empty() && !two.applied().is_empty(), "both have a share");
    assert_eq!(world.log.asked(), 0, "what a peer was given is not missing");
    world.all_acknowledged().await;
    assert_eq!((one.resyncs().len(), two.resyncs().len()), (1, 0));
    first.stop().await;
    second.stop().await;
}

#[tokio::test]
async fn what_a_dead_peer_was_given_is_taken_over() {
    let (world, recorder) = (World::new().await, Recorder::new());
    let consumer = world.member(&recorder).await;
    consumer.stop().await;
    world.append(1..=5).await;
    world.give_to_a_dead_peer(3).await;
    let consumer = world.member(&recorder).await;
    eventually("all events", AT_MOST, async || recorder.applied().len() == 5).await;
    world.all_acknowledged().await;
    let mut all = recorder.applied();
    all.sort_unstable();
    assert_eq!(all, [1, 2, 3, 4, 5]);
    consumer.stop().await;
}

#[tokio::test]
async fn what_is_still_worked_on_is_not_taken_over() {
    let (world, slow, quick) = (World::new().await, Recorder::new(), Recorder::new());
    let first = world.member(&slow).await;
    slow.hold();
    world.append(1..=2).await;
    eventually("the reaction to begin", AT_MOST, async || slow.begun() == 1).await;
    let second = world.member(&quick).await;
    let longer = tokio::time::Instant::now() + CLAIM * 6;
    eventually("the time to claim to be over", AT_MOST, async || tokio::time::Instant::now() > longer).await;
    assert_eq!(quick.applied(), [0; 0]);
    slow.go();
    world.all_acknowledged().await;
    assert_eq!(slow.applied(), [1, 2]);
    first.stop().await;
    second.stop().await;
}

#[tokio::test]
async fn what_was_taken_over_is_not_taken_back() {
    let (world, recorder) = (World::new().await, Recorder::new());
    let consumer = world.member(&recorder).await;
    recorder.hold();
    world.append(1..=2).await;
    eventually("the reaction to begin", AT_MOST, async || recorder.begun() == 1).await;
    world.cli(&format!("XCLAIM {STREAM} {GROUP} peer 0 2-0")).await;
    let later = tokio::time::Instant::now() + CLAIM * 3;
    eventually("some time to pass", AT_MOST, async || tokio::time::Instant::now() > later).await;
    let owners = world.cli(&format!("XPENDING {STREAM} {GROUP} - + 10")).await;
    assert!(owners.contains("peer"), "{owners}");
    recorder.go();
    consumer.stop().await;
}

#[tokio::test]
async fn an_event_that_was_deleted_while_a_dead_peer_had_it_is_fetched() {
    let (world, recorder) = (World::new().await, Recorder::new());
    world.member(&Recorder::new()).await.stop().await;
    world.append(1..=3).await;
    world.give_to_a_dead_peer(3).await;
    world.cli(&format!("XDEL {STREAM} 2-0")).await;
    let consumer = world.member(&recorder).await;
    applied(&recorder, 1..=3).await;
    world.all_acknowledged().await;
    assert_eq!(recorder.resyncs(), []);
    consumer.stop().await;
}

#[tokio::test]
async fn the_status_tells_how_far_it_is_and_how_many_are_left() {
    let (world, recorder) = (World::new().await, Recorder::new());
    let consumer = world.member(&recorder).await;
    recorder.answer(|_| unavailable());
    world.append(1..=7).await;
    eventually("the lag to be seen", AT_MOST, async || consumer.status().lag == 7).await;
    assert_eq!(consumer.status().position, 0);
    recorder.answer(|_| Ok(()));
    eventually("the lag to be gone", AT_MOST, async || consumer.status().lag == 0).await;
    assert_eq!(consumer.status().position, 7);
    consumer.stop().await;
}

#[tokio::test]
async fn stopping_lets_the_reaction_finish_and_acknowledges_it() {
    let (world, recorder) = (World::new().await, Recorder::new());
    let consumer = world.member(&recorder).await;
    recorder.hold();
    world.append(1..=3).await;
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
    assert_eq!(world.pending().await, 0);
    assert_eq!(world.cli(&format!("XINFO CONSUMERS {STREAM} {GROUP}")).await, "", "it leaves the group");
}

#[tokio::test]
async fn stopping_does_not_wait_for_what_is_away() {
    let (world, recorder) = (World::new().await, Recorder::new());
    let consumer = world.member(&recorder).await;
    recorder.answer(|_| unavailable());
    world.append(1..=3).await;
    eventually("an attempt", AT_MOST, async || recorder.begun() >= 1).await;
    consumer.stop().await;
    assert_eq!(world.pending().await, 3, "left to a peer");
}

#[tokio::test]
async fn it_starts_without_redis_and_reads_when_that_is_there() {
    let (world, recorder) = (World::new().await, Recorder::new());
    world.redis.kill().await.unwrap();
    let consumer = world.start_with(&settings(), Reading::Group(GROUP), &recorder);
    assert!(!consumer.status().connected);
    world.redis.restart().await.unwrap();
    reads(&consumer).await;
    world.append(1..=3).await;
    applied(&recorder, 1..=3).await;
    consumer.stop().await;
}
