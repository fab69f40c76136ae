//! A stale entry is served at once and refreshed in the background, by one task of one process. A newer write or
//! invalidation always wins over the refresh.

use std::time::Duration;

use cache::inspect::EntryState;
use cache::outcome::Fill;
use cache::{Outcome, Policy};
use testkit::eventually;

use crate::support::{Gate, LONG, Node, Reading, Row, SOON, filled_node, node, one_node, patient, shelf, two_nodes};

/// Makes entry 1 hold version 1 and stale; a refresh of it has read version 1 again.
pub(crate) async fn refreshing(node: &Node, row: &Row) -> (Gate, crate::support::Load) {
    node.fill(1, row).await;
    assert_eq!(node.expire(1).await, 1);
    let (mut gate, load) = row.gated();
    let stale = node.start(1, &load).value().await;
    assert_eq!((stale.outcome(), stale.version()), (Outcome::Stale, Some(1)));
    let load = gate.began().await;
    (gate, load)
}

#[tokio::test]
async fn value_after_its_soft_ttl_is_served_stale_and_refreshed() {
    let (_redis, node, row) = one_node([]).await;
    let short = node.under(patient().soft_ttl(Duration::from_millis(50)));
    short.fill(1, &row).await;
    row.commit();
    let stale = eventually("the end of the soft TTL", SOON, async || {
        let cached = node.cache.get(1).await.unwrap();
        (cached.outcome() == Outcome::Stale).then_some(cached)
    })
    .await;
    assert!(stale.ttl_ms() <= 0 && stale.age() >= Duration::from_millis(50));
    assert_eq!(row.loads(), 1, "a peek does not refresh");
    let stale = node.read(1, &row).await;
    assert_eq!((stale.outcome(), stale.version()), (Outcome::Stale, Some(1)));
    node.until_cached(1, 2).await;
    assert_eq!(node.read(1, &row).await.outcome(), Outcome::Hit);
    assert_eq!(row.loads(), 2);
}

#[tokio::test]
async fn miss_waits_until_the_refresh_of_its_key_is_over() {
    let (_redis, node, row) = filled_node([]).await;
    assert_eq!(node.expire(1).await, 1);
    let (mut gate, load) = row.gated();
    assert_eq!(node.start(1, &load).value().await.outcome(), Outcome::Stale);
    let refresh = gate.began().await;
    row.commit();
    assert_eq!(node.remove(1).await, 1);
    let reading = node.start(1, &load);
    let second = tokio::time::timeout(Duration::from_millis(200), gate.began()).await;
    assert!(second.is_err(), "two loads of a key at once");
    refresh.finish();
    gate.began().await.finish();
    assert_eq!(reading.value().await.version(), Some(row.version()));
}

#[tokio::test]
async fn refresh_overtaken_by_a_soft_invalidation_is_refused_and_repeated() {
    let (_redis, node) = node().await;
    for by_tag in [false, true] {
        let row = Row::new([shelf(1)]);
        let (_gate, load) = refreshing(&node, &row).await;
        row.commit();
        let marked = if by_tag { node.expire_tag(shelf(1)).await } else { node.expire(1).await };
        assert_eq!(marked, 1);
        load.finish();
        node.settle().await;
        let entry = node.client.inspect(&node.key(1)).await.unwrap().unwrap();
        assert_eq!((entry.state, entry.version), (EntryState::Stale, Some(1)), "by tag: {by_tag}");
        // The leases of this node last for the whole test: the overtaken refresh must not block the next one.
        eventually("the refresh that follows", SOON, async || {
            let cached = node.read(1, &row).await;
            cached.outcome() == Outcome::Hit && cached.version() == Some(2)
        })
        .await;
        node.remove(1).await;
    }
}

#[tokio::test]
async fn removed_stale_entry_is_never_served_again() {
    let (_redis, node, peer, row) = two_nodes([shelf(1)]).await;
    let (_gate, load) = refreshing(&node, &row).await;
    row.commit();
    node.remove(1).await;
    for reader in [&peer, &node] {
        assert_eq!(reader.read(1, &row).await.version(), Some(2));
    }
    load.finish();
    node.settle().await;
    for reader in [&peer, &node] {
        let cached = reader.read(1, &row).await;
        assert_eq!((cached.version(), cached.outcome()), (Some(2), Outcome::Hit));
    }
}

#[tokio::test]
async fn many_readers_of_one_process_cause_one_refresh() {
    let (_redis, node, row) = one_node([]).await;
    let (mut gate, refresh) = refreshing(&node, &row).await;
    row.commit();
    let (mut other_gate, load) = row.gated();
    let readings: Vec<_> = (0..200).map(|_| node.start(1, &load)).collect();
    all_are_stale(readings).await;
    assert!(gate.is_quiet() && other_gate.is_quiet());
    refresh.finish();
    node.settle().await;
    assert_eq!(row.loads(), 2, "the fill and one refresh");
}

pub(crate) async fn all_are_stale(readings: Vec<Reading>) {
    for reading in readings {
        assert_eq!(reading.value().await.outcome(), Outcome::Stale);
    }
}

#[tokio::test]
async fn refreshed_entry_is_fresh_with_a_new_ttl() {
    let (_redis, node, row) = one_node([]).await;
    let old = node.under(Policy::ttl(SOON).negative_ttl(SOON).lease(SOON));
    let (_gate, load) = refreshing(&old, &row).await;
    row.commit();
    load.finish();
    eventually("the refresh", SOON, async || {
        let entry = node.client.inspect(&node.key(1)).await.unwrap().unwrap();
        entry.state == EntryState::Fresh && entry.expires_in_ms > 0
    })
    .await;
    assert_eq!(node.read(1, &row).await.outcome(), Outcome::Hit);
    // A miss after it is an ordinary one.
    node.remove(1).await;
    let miss = node.under(patient().soft_ttl(LONG)).read(1, &row).await;
    assert_eq!(miss.outcome(), Outcome::Miss(Fill::Stored));
}
