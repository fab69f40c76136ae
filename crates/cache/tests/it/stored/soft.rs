//! Soft invalidation: the old value is served while one refresh loads the new one, and never as a fresh value.

use cache::Outcome;

use crate::support::{existing, filled_node, node, number, shelf, two_nodes};

#[tokio::test]
async fn softly_invalidated_entry_is_served_stale_and_then_refreshed() {
    let (redis, node, peer, row) = two_nodes([shelf(1)]).await;
    node.fill(1, &row).await;
    for by_tag in [false, true] {
        let version = row.commit();
        let ttl = number(&redis, &["PTTL", "shop:item:1"]).await;
        let marked = if by_tag { peer.expire_tag(shelf(1)).await } else { peer.expire(1).await };
        assert_eq!(marked, 1);
        assert!((1..=ttl).contains(&number(&redis, &["PTTL", "shop:item:1"]).await), "its hard TTL stays");
        let stale = node.read(1, &row).await;
        assert_eq!((stale.outcome(), stale.version()), (Outcome::Stale, Some(version - 1)));
        peer.until_cached(1, version).await;
        for reader in [&node, &peer] {
            assert_eq!(reader.read(1, &row).await.outcome(), Outcome::Hit);
        }
    }
    assert_eq!(row.loads(), 3);
}

#[tokio::test]
async fn soft_invalidation_of_a_missing_entry_creates_nothing() {
    let (redis, node) = node().await;
    assert_eq!((node.expire(1).await, node.expire_tag(shelf(1)).await), (0, 0));
    assert_eq!(existing(&redis, &["shop:item:1", "shop:~tag:shelf:1"]).await, 0);
}

/// A process died in the middle of an invalidation. The entries of the set that it moved aside are stale, too.
#[tokio::test]
async fn soft_invalidation_expires_the_rest_of_a_crashed_invalidation() {
    let (redis, node, row) = filled_node([shelf(1)]).await;
    redis.cli(&["RENAME", "shop:~tag:shelf:1", "shop:~drain:shelf:1"]).await.unwrap();
    row.commit();
    node.expire_tag(shelf(1)).await;
    assert_ne!(node.read(1, &row).await.outcome(), Outcome::Hit, "fresh after an acknowledged invalidation");
}
