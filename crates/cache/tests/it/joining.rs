//! Readers of one process share a load, but no reader receives a value that was read too early for it.

use std::time::Duration;

use cache::outcome::{Fill, FillRefusal};
use cache::{CacheSettings, Outcome};
use testkit::eventually;
use tokio::time::sleep;

use crate::support::{Node, Proxy, Row, SOON, patient, redis, settings, shelf, through};

/// The commit is done, its reply is late, and an invalidation follows. The client receives no replies from Redis, so a
/// new reader goes to single-flight at once, and must not find the load whose commit will succeed.
#[tokio::test]
async fn reader_does_not_join_a_load_whose_commit_is_unanswered() {
    for _ in 0..5 {
        if reads_while_a_commit_is_unanswered().await {
            return;
        }
    }
    panic!("on this machine the commit always times out before the test is done");
}

/// Returns whether the commit succeeded in the end. Otherwise the test proves nothing.
async fn reads_while_a_commit_is_unanswered() -> bool {
    let redis = redis().await;
    let proxy = Proxy::to(redis.port()).await.unwrap();
    let timeout = Duration::from_secs(4);
    let slow = CacheSettings { breaker_threshold: 1, command_timeout: timeout, ..settings(through(&proxy)) };
    let (behind, other) = (Node::with(&slow, patient()).await, Node::on(&redis).await);
    let row = Row::new([]);
    // From now on, Redis knows the scripts and need not be sent their text.
    other.fill(3, &row).await;
    let (early, old) = behind.loading(1, &row).await;

    proxy.delay_replies();
    let unanswered = tokio::spawn({
        let node = behind.clone();
        async move { node.cached(2).await }
    });
    sleep(timeout / 2).await;
    old.finish();
    // If this process stalls meanwhile, the other command times out first, and the commit is never sent.
    let is_cached = async || other.cached(1).await == Some(1);
    eventually("the commit", SOON, async || is_cached().await || unanswered.is_finished()).await;
    if !is_cached().await {
        return false;
    }
    row.commit();
    assert_eq!(other.remove(1).await, 1);
    // This command was sent before the commit, so it times out first. It opens the breaker.
    unanswered.await.unwrap();
    let late = behind.start(1, &row.loader());
    behind.settle().await;
    proxy.release_replies();
    assert_eq!(late.value().await.version(), Some(2), "began after the acknowledged invalidation");
    early.value().await.outcome() == Outcome::Miss(Fill::Stored)
}

#[tokio::test]
async fn reader_that_joined_before_the_load_takes_its_unstored_value() {
    let redis = redis().await;
    let narrow = CacheSettings { max_loads: 1, load_queue: SOON, ..settings(redis.url()) };
    let node = Node::with(&narrow, patient()).await;
    let (row, other) = (Row::new([shelf(1)]), Row::new([]));
    let (mut other_gate, other_load) = other.gated();
    let blocker = node.start(2, &other_load);
    let blocking = other_gate.began().await;
    let (mut gate, load) = row.gated();
    let (first, joiner) = (node.start(1, &load), node.start(1, &load));
    node.settle().await;
    blocking.finish();
    let queued = gate.began().await;
    node.remove_tag(shelf(1)).await;
    queued.finish();
    assert_eq!(first.value().await.outcome(), Outcome::Miss(Fill::Refused(FillRefusal::Fenced)));
    assert_eq!(joiner.value().await.outcome(), Outcome::Collapsed);
    assert_eq!((blocker.value().await.version(), row.loads()), (Some(1), 1));
}
