//! Deferred invalidations and graceful shutdown; writes whose COMMIT was not answered.

use std::time::Duration;

use cache::{Invalidated, Invalidation};
use testkit::Redis;

use crate::support::{Node, Row, SOON, redis, two_nodes};

/// A node with an entry whose removal is deferred, because Redis refuses `UNLINK`; and a peer that still sees the
/// entry.
async fn deferred(redis: &Redis) -> (Node, Node, Row) {
    let (node, peer, row) = (Node::on(redis).await, Node::on(redis).await, Row::new([]));
    node.fill(1, &row).await;
    redis.cli(&["ACL", "SETUSER", "default", "-unlink"]).await.unwrap();
    row.commit();
    let gone = Invalidation::hard().key(node.key(1));
    assert_eq!(node.client.invalidate(gone).await, Invalidated::Deferred);
    (node, peer, row)
}

#[tokio::test]
async fn shutdown_carries_out_deferred_invalidations() {
    let redis = redis().await;
    let (node, peer, _) = deferred(&redis).await;
    let stopping = tokio::spawn(async move { node.client.shutdown(SOON).await });
    peer.settle().await;
    assert_eq!(peer.cached(1).await, Some(1));
    assert!(!stopping.is_finished(), "an invalidation is pending");
    redis.cli(&["ACL", "SETUSER", "default", "+unlink"]).await.unwrap();
    assert_eq!(stopping.await.unwrap(), 0, "nothing is lost");
    assert_eq!(peer.cached(1).await, None);
}

#[tokio::test]
async fn shutdown_carries_out_invalidations_deferred_during_shutdown() {
    let (redis, node, peer, row) = two_nodes([]).await;
    node.fill(1, &row).await;
    let (reading, loading) = node.loading(2, &row).await;
    let stopping = tokio::spawn({
        let client = node.client.clone();
        async move { client.shutdown(SOON).await }
    });
    redis.cli(&["ACL", "SETUSER", "default", "-unlink"]).await.unwrap();
    let gone = Invalidation::hard().key(node.key(1));
    assert_eq!(node.client.invalidate(gone).await, Invalidated::Deferred);
    loading.finish();
    reading.value().await;
    redis.cli(&["ACL", "SETUSER", "default", "+unlink"]).await.unwrap();
    assert_eq!(stopping.await.unwrap(), 0, "nothing is lost");
    assert_eq!(peer.cached(1).await, None);
}

#[tokio::test]
async fn shutdown_ends_after_its_grace_period_and_counts_lost_names() {
    let redis = redis().await;
    let (node, ..) = deferred(&redis).await;
    let stopping = node.client.shutdown(Duration::from_millis(300));
    assert_eq!(tokio::time::timeout(SOON, stopping).await.expect("the shutdown hangs"), 1);
}
