//! Values of other programs under an entry's key: they are neither served nor do they block the entry.

use cache::Outcome;
use cache::outcome::Fill;

use crate::support::{one_node, shelf};

#[tokio::test]
async fn unreadable_bytes_are_replaced() {
    let (redis, node, row) = one_node([]).await;
    let no_newline = "V0123456789abcdef0123456789abcdef at=1 soft=1 hard=1 ver=1 sum=- absent=0 tags=";
    let no_number = "V0123456789abcdef0123456789abcdef at=x soft=1 hard=1 ver=1 sum=- absent=0 tags=\nbody";
    for foreign in ["hello", "", "V", "L", "Lshort", no_newline, no_number] {
        redis.cli(&["SET", "shop:item:1", foreign]).await.unwrap();
        assert_eq!(node.cached(1).await, None);
        let cached = node.read(1, &row).await;
        assert_eq!((cached.version(), cached.outcome()), (Some(1), Outcome::Miss(Fill::Stored)), "{foreign:?}");
        assert_eq!(node.read(1, &row).await.outcome(), Outcome::Hit);
        node.remove(1).await;
    }
}

#[tokio::test]
async fn key_of_another_type_is_replaced() {
    let (redis, node, row) = one_node([]).await;
    redis.cli(&["RPUSH", "shop:item:1", "a", "b"]).await.unwrap();
    node.read(1, &row).await;
    node.read(1, &row).await;
    assert_eq!(node.read(1, &row).await.outcome(), Outcome::Hit, "the foreign bytes stay forever");
}

#[tokio::test]
async fn foreign_bytes_can_be_invalidated() {
    let (redis, node, row) = one_node([shelf(1)]).await;
    for soft in [false, true] {
        node.fill(1, &row).await;
        redis.cli(&["SET", "shop:item:1", "V without a header"]).await.unwrap();
        match soft {
            // There is no entry to expire. The invalidation may be done or deferred, but must not fail.
            true => drop(node.client.invalidate(cache::Invalidation::soft().key(node.key(1)).tag(shelf(1))).await),
            false => assert_eq!(node.remove_tag(shelf(1)).await, 1),
        }
        let repaired = async || node.client.pending_invalidations() == 0;
        testkit::eventually("the repair", crate::support::SOON, repaired).await;
        row.commit();
        assert_eq!(node.read(1, &row).await.version(), Some(row.version()));
        node.remove(1).await;
    }
}
