//! Soft invalidation: the old value is served while one refresh loads the new one, and never as a fresh value.

use cache::Outcome;
use cache::inspect::EntryState;
use cache::outcome::Fill;

use crate::support::{Row, existing, filled_node, node, number, one_node, shelf, two_nodes};

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
async fn softly_invalidated_entry_can_still_be_removed() {
    let (_redis, node, row) = one_node([shelf(1)]).await;
    for by_tag in [false, true] {
        node.fill(1, &row).await;
        node.expire(1).await;
        row.commit();
        let removed = if by_tag { node.remove_tag(shelf(1)).await } else { node.remove(1).await };
        assert_eq!(removed, 1);
        let cached = node.read(1, &row).await;
        assert_eq!((cached.version(), cached.outcome()), (Some(row.version()), Outcome::Miss(Fill::Stored)));
        node.remove(1).await;
    }
}

#[tokio::test]
async fn soft_invalidation_of_a_missing_entry_creates_nothing() {
    let (redis, node) = node().await;
    assert_eq!((node.expire(1).await, node.expire_tag(shelf(1)).await), (0, 0));
    assert_eq!(existing(&redis, &["shop:item:1", "shop:~tag:shelf:1"]).await, 0);
}

#[tokio::test]
async fn soft_invalidation_of_a_tag_expires_only_its_entries() {
    let (_redis, node) = node().await;
    let (on_the_shelf, elsewhere) = (Row::new([shelf(1)]), Row::new([shelf(2)]));
    let many = 1_500;
    node.fill_many(0..many, &on_the_shelf).await;
    node.fill(many, &elsewhere).await;
    assert_eq!(node.expire_tag(shelf(1)).await, u64::from(many));
    for id in (0..=many).step_by(100) {
        let state = node.client.inspect(&node.key(id)).await.unwrap().unwrap().state;
        assert_eq!(state, if id < many { EntryState::Stale } else { EntryState::Fresh }, "{id}");
    }
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
