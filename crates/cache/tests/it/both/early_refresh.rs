//! Early refresh: a hit refreshes an entry that is still fresh, once.

use cache::{EarlyRefresh, Outcome, Policy};

use crate::support::{LONG, patient, two_nodes};

/// Returns a policy whose entries are fresh for a minute, and due for an early refresh almost from the start.
fn early() -> Policy {
    patient().early_refresh(EarlyRefresh::Share(0.999_999))
}

#[tokio::test]
async fn hit_near_the_end_is_fresh_and_refreshes_the_entry_once() {
    let (_redis, node, peer, row) = two_nodes([]).await;
    let (node, peer) = (node.under(early()), peer.under(early()));
    node.fill(1, &row).await;
    row.commit();
    tokio::time::sleep(LONG / 10_000).await;
    let (mut gate, load) = row.gated();
    for reader in [&node, &peer, &node] {
        let hit = reader.start(1, &load).value().await;
        assert_eq!((hit.outcome(), hit.version()), (Outcome::Hit, Some(1)));
    }
    let loading = gate.began().await;
    node.settle().await;
    peer.settle().await;
    assert!(gate.is_quiet(), "two refreshes at once");
    loading.finish();
    node.until_cached(1, 2).await;
}

#[tokio::test]
async fn refresh_that_fails_leaves_the_fresh_entry() {
    let (_redis, node, peer, row) = two_nodes([]).await;
    let node = node.under(early());
    node.fill(1, &row).await;
    tokio::time::sleep(LONG / 10_000).await;
    let (mut gate, load) = row.gated();
    assert_eq!(node.start(1, &load).value().await.outcome(), Outcome::Hit);
    gate.began().await.fail();
    node.settle().await;
    for _ in 0..3 {
        assert_eq!(node.start(1, &load).value().await.outcome(), Outcome::Hit);
    }
    peer.settle().await;
    assert!(gate.is_quiet(), "a refresh follows at once after one that failed");
}

#[tokio::test]
async fn early_refresh_does_not_restore_what_was_invalidated() {
    let (_redis, node, _peer, row) = two_nodes([]).await;
    let node = node.under(early());
    node.fill(1, &row).await;
    tokio::time::sleep(LONG / 10_000).await;
    let (mut gate, load) = row.gated();
    node.start(1, &load).value().await;
    let loading = gate.began().await;
    row.commit();
    node.remove(1).await;
    loading.finish();
    node.settle().await;
    assert_eq!(node.cached(1).await, None);
    assert_eq!(node.read(1, &row).await.version(), Some(2));
}

#[tokio::test]
async fn probabilistic_refresh_is_rare_while_the_end_is_far_away() {
    let (_redis, node, _peer, row) = two_nodes([]).await;
    let node = node.under(patient().early_refresh(EarlyRefresh::Probabilistic(1.0)));
    node.fill(1, &row).await;
    for _ in 0..1_000 {
        assert_eq!(node.read(1, &row).await.outcome(), Outcome::Hit);
    }
    node.settle().await;
    assert_eq!(row.loads(), 1, "a load takes microseconds, and the entry is fresh for a minute");
}
