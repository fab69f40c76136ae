//! Readers of one process share a load, but no reader receives a value that was read too early for it.

use std::time::Duration;

use cache::outcome::{Fill, FillRefusal};
use cache::{CacheSettings, Outcome};
use futures_util::future::join_all;
use tokio::time::sleep;

use crate::support::{Node, Proxy, Row, SOON, one_node, patient, redis, settings, shelf, through};

#[tokio::test]
async fn many_readers_share_one_load() {
    let (_redis, node, row) = one_node([]).await;
    let (mut gate, load) = row.gated();
    let first = node.start(1, &load);
    let load_one = gate.began().await;
    let others: Vec<_> = (0..200).map(|_| node.start(1, &load)).collect();
    node.settle().await;
    load_one.finish();
    assert_eq!(first.value().await.outcome(), Outcome::Miss(Fill::Stored));
    for other in others {
        let cached = other.value().await;
        // Readers that joined during the load may take the value, because the commit proves it valid.
        assert_eq!((cached.version(), cached.outcome()), (Some(1), Outcome::Collapsed));
    }
    assert_eq!(row.loads(), 1);
}

#[tokio::test]
async fn late_joiner_does_not_take_a_value_read_before_it_joined() {
    for by_tag in [false, true] {
        let (_redis, node, row) = one_node([shelf(1)]).await;
        let (mut gate, load) = row.gated();
        let early = node.start(1, &load);
        let old = gate.began().await;
        row.commit();
        match by_tag {
            true => node.remove_tag(shelf(1)).await,
            false => node.remove(1).await,
        };
        let late = node.start(1, &load);
        node.settle().await;
        assert!(gate.is_quiet(), "the late reader has joined");
        old.finish();
        assert_eq!(early.value().await.version(), Some(1));
        gate.began().await.finish();
        assert_eq!(late.value().await.version(), Some(2), "began after the acknowledged invalidation");
    }
}

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
    let timeout = Duration::from_millis(1_200);
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
    other.until_cached(1, 1).await;
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

#[tokio::test]
async fn dropped_read_does_not_end_the_load() {
    let (_redis, node, row) = one_node([]).await;
    let (reading, under_way) = node.loading(1, &row).await;
    reading.hang_up();
    node.settle().await;
    under_way.finish();
    node.until_cached(1, 1).await;
    assert_eq!(row.loads(), 1);
}

#[tokio::test]
async fn loads_of_different_entries_do_not_wait_for_each_other() {
    let (_redis, node, row) = one_node([]).await;
    let (mut gate, load) = row.gated();
    let readings: Vec<_> = (0..20).map(|id| node.start(id, &load)).collect();
    let mut loads = Vec::new();
    for _ in 0..20 {
        loads.push(gate.began().await);
    }
    loads.into_iter().rev().for_each(|load| load.finish());
    for cached in join_all(readings.into_iter().map(|reading| reading.value())).await {
        assert_eq!(cached.outcome(), Outcome::Miss(Fill::Stored));
    }
}
