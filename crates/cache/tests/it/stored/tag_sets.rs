//! Tag sets are complete: the sweep removes what is gone, and nothing else.

use std::time::Duration;

use cache::CacheSettings;
use testkit::eventually;

use crate::support::{Node, Row, SOON, existing, lose, number, one_node, server, shelf};

/// No fill and no invalidation follows: only the sweep can find these tags.
#[tokio::test]
async fn tag_sets_without_further_fills_are_swept() {
    let redis = server().await;
    let often = |settings| CacheSettings { sweep_rest: Duration::from_millis(10), ..settings };
    let node = Node::adjusted(&redis, often).await;
    for tag in 0..20 {
        node.fill_many(10 * tag..10 * (tag + 1), &Row::new([shelf(tag), shelf(99)])).await;
    }
    let lease = node.cache.begin_write(7).await;
    lose(&redis, 10..200).await;
    eventually("the sweep", SOON, async || number(&redis, &["SCARD", "shop:~tag:shelf:99"]).await == 10).await;
    eventually("the sweep", SOON, async || existing(&redis, &["shop:~tag:shelf:1", "shop:~tag:shelf:19"]).await == 0)
        .await;
    lease.abandon().await;
    assert_eq!(node.remove_tag(shelf(0)).await, 9, "the living ones are still registered");
}

/// Entries come and go repeatedly while the sweep examines their set: none may stay without a registration.
#[tokio::test]
async fn sweep_never_removes_the_registration_of_an_existing_entry() {
    let redis = server().await;
    let node = Node::adjusted(&redis, |settings| CacheSettings { sweep_rest: Duration::ZERO, ..settings }).await;
    let row = Row::new([shelf(1)]);
    for _ in 0..20 {
        node.fill_many(0..50, &row).await;
        lose(&redis, (0..50).step_by(2)).await;
        node.fill_many(50..100, &row).await;
        node.fill(0, &row).await;
        row.commit();
        node.remove_tag(shelf(1)).await;
        for id in 0..100 {
            assert_eq!(node.cached(id).await, None, "{id} outlived the invalidation of its tag");
        }
    }
}

#[tokio::test]
async fn rest_of_a_crashed_tag_invalidation_is_removed_by_the_next_one() {
    let (redis, node, row) = one_node([shelf(1)]).await;
    for both in [false, true] {
        node.fill(1, &row).await;
        redis.cli(&["RENAME", "shop:~tag:shelf:1", "shop:~drain:shelf:1"]).await.unwrap();
        if both {
            node.fill(2, &row).await;
        }
        row.commit();
        assert_eq!(node.remove_tag(shelf(1)).await, if both { 2 } else { 1 });
        for id in [1, 2] {
            assert_eq!(node.read(id, &row).await.version(), Some(row.version()));
            node.remove(id).await;
        }
        node.remove_tag(shelf(1)).await;
    }
}
