//! The processes of a group share its events, and a process claims the pending entries of a dead peer.

use std::time::Duration;

use outbox::consumer::{ConsumerSettings, Delivery};
use testkit::eventually;

use crate::support::{AT_MOST, CLAIM, Fixture, GROUP, Recorder, STREAM, applied, reads, settings, with_member};

#[tokio::test]
async fn two_members_share_the_events_and_miss_none() {
    let (fixture, one, two) = (Fixture::new().await, Recorder::new(), Recorder::new());
    // A long time to claim: on a busy machine, a slow member would otherwise lose entries to the other one.
    let settings = ConsumerSettings { claim_after: Duration::from_secs(3600), ..settings() };
    let first = fixture.start_with(&settings, Delivery::Group(GROUP), &one);
    reads(&first).await;
    let second = fixture.start_with(&settings, Delivery::Group(GROUP), &two);
    reads(&second).await;
    for thousand in 0..10 {
        fixture.append(thousand * 1_000 + 1..=thousand * 1_000 + 1_000).await;
    }
    eventually("all events", AT_MOST, async || one.applied().len() + two.applied().len() >= 10_000).await;
    let mut all = [one.applied(), two.applied()].concat();
    all.sort_unstable();
    assert!(all.iter().copied().eq(1..=10_000), "each once");
    assert!(!one.applied().is_empty() && !two.applied().is_empty(), "both have a share");
    assert_eq!(fixture.log.asked(), 0, "what a peer was given is not missing");
    fixture.all_acknowledged().await;
    assert_eq!((one.resyncs().len(), two.resyncs().len()), (1, 0));
    first.stop().await;
    second.stop().await;
}

#[tokio::test]
async fn pending_entries_of_a_dead_peer_are_claimed() {
    let (fixture, recorder, consumer) = with_member().await;
    consumer.stop().await;
    fixture.append(1..=5).await;
    fixture.give_to_a_dead_peer(3).await;
    let consumer = fixture.member(&recorder).await;
    eventually("all events", AT_MOST, async || recorder.applied().len() == 5).await;
    fixture.all_acknowledged().await;
    let mut all = recorder.applied();
    all.sort_unstable();
    assert_eq!(all, [1, 2, 3, 4, 5]);
    consumer.stop().await;
}

#[tokio::test]
async fn entries_in_progress_are_not_claimed() {
    let (fixture, slow, quick) = (Fixture::new().await, Recorder::new(), Recorder::new());
    // The first member extends its claim every 4 s. On a busy machine, it may be late by up to twice as long.
    let settings = ConsumerSettings { claim_after: Duration::from_secs(12), ..settings() };
    let first = fixture.start_with(&settings, Delivery::Group(GROUP), &slow);
    reads(&first).await;
    slow.hold();
    fixture.append(1..=2).await;
    eventually("the reaction to begin", AT_MOST, async || slow.begun() == 1).await;
    let second = fixture.start_with(&settings, Delivery::Group(GROUP), &quick);
    reads(&second).await;
    let mut idle = 0;
    // The third time, `claim_after` is over.
    for _ in 0..3 {
        eventually("the claim to be extended", AT_MOST, async || {
            let before = std::mem::replace(&mut idle, idle_ms(&fixture).await);
            idle < before
        })
        .await;
    }
    assert_eq!(quick.applied(), [0; 0]);
    slow.go();
    fixture.all_acknowledged().await;
    assert_eq!(slow.applied(), [1, 2]);
    first.stop().await;
    second.stop().await;
}

/// Returns for how many milliseconds the first pending entry has been idle.
async fn idle_ms(fixture: &Fixture) -> u64 {
    let pending = fixture.cli(&format!("XPENDING {STREAM} {GROUP} - + 1")).await;
    // The id, the consumer, the idle time, and the number of deliveries.
    pending.lines().nth(2).expect("a pending entry").parse().expect("a number")
}

#[tokio::test]
async fn claimed_entries_are_not_taken_back() {
    let (fixture, recorder, consumer) = with_member().await;
    recorder.hold();
    fixture.append(1..=2).await;
    eventually("the reaction to begin", AT_MOST, async || recorder.begun() == 1).await;
    fixture.cli(&format!("XCLAIM {STREAM} {GROUP} peer 0 2-0")).await;
    let later = tokio::time::Instant::now() + CLAIM * 2;
    eventually("some time to pass", AT_MOST, async || tokio::time::Instant::now() > later).await;
    let owners = fixture.cli(&format!("XPENDING {STREAM} {GROUP} - + 10")).await;
    assert!(owners.contains("peer"), "{owners}");
    recorder.go();
    consumer.stop().await;
}

#[tokio::test]
async fn deleted_pending_entry_of_a_dead_peer_is_backfilled() {
    let (fixture, recorder) = (Fixture::new().await, Recorder::new());
    fixture.member(&Recorder::new()).await.stop().await;
    fixture.append(1..=3).await;
    fixture.give_to_a_dead_peer(3).await;
    fixture.cli(&format!("XDEL {STREAM} 2-0")).await;
    recorder.hold();
    let consumer = fixture.member(&recorder).await;
    eventually("the reaction to begin", AT_MOST, async || recorder.begun() == 1).await;
    assert_eq!(fixture.pending().await, 3, "it is not forgotten before it is carried out");
    recorder.go();
    applied(&recorder, 1..=3).await;
    fixture.all_acknowledged().await;
    assert_eq!(recorder.resyncs(), []);
    consumer.stop().await;
}
