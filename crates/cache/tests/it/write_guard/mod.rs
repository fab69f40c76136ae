//! Write guards: from before the COMMIT of a write until its release, no fill of what it outdates is stored.
//!
//! Each test isolates one defence: without it in the scripts, the value from before the COMMIT is stored.

mod ending;
mod stress;

use cache::{Invalidation, Keyspace, Outcome};
use testkit::Redis;

use crate::both::write_guard::{GUARDED, STORED, assert_read, release};
use crate::support::{Node, Row, calls, existing, node, number, one_node, patient, redis, settings, shelf, two_nodes};

const GUARDS: &str = "shop:~guards";

async fn guards_left(redis: &Redis) -> i64 {
    number(redis, &["ZCARD", GUARDS]).await
}

/// The whole write: the entry is gone before COMMIT, no read takes or stores the old value, and afterwards reads are as
/// before.
#[tokio::test]
async fn guarded_write_leaves_no_old_value_from_before_its_commit() {
    let (redis, node, peer, row) = two_nodes([shelf(1)]).await;
    node.fill(1, &row).await;
    let guard = node.guard(node.of_key(1)).await;
    assert_eq!(peer.cached(1).await, None, "the entry is removed before COMMIT");
    assert_read(&peer.read(1, &row).await, 1, GUARDED);
    let (reading, load) = peer.loading(1, &row).await;
    row.commit();
    load.finish();
    assert_read(&reading.value().await, 1, GUARDED);
    assert_eq!(peer.cached(1).await, None);
    assert_read(&peer.read(1, &row).await, 2, GUARDED);
    release(guard).await;
    assert_read(&peer.read(1, &row).await, 2, STORED);
    assert_read(&node.read(1, &row).await, 2, Outcome::Hit);
    assert_eq!(existing(&redis, &[GUARDS]).await, 0);
}

#[tokio::test]
async fn release_of_one_guard_leaves_the_guard_of_another_writer() {
    let (redis, node, peer, row) = two_nodes([shelf(1)]).await;
    let names = || Invalidation::hard().key(node.key(1)).tag(shelf(1));
    let (first, second) = (node.guard(names()).await, peer.guard(names()).await);
    assert_eq!(guards_left(&redis).await, 4);
    row.commit();
    release(first).await;
    for id in [1, 2] {
        assert_read(&node.read(id, &row).await, 2, GUARDED);
    }
    row.commit();
    release(second).await;
    for id in [1, 2] {
        assert_read(&node.read(id, &row).await, 3, STORED);
    }
}

#[tokio::test]
async fn names_given_twice_are_guarded_once() {
    let (redis, node, _row) = one_node([]).await;
    let twice = node.of_key(1).key(node.key(1)).tags([shelf(1), shelf(1)]).key_older_than(node.key(1), 7);
    let guard = node.guard(twice).await;
    assert_eq!(guards_left(&redis).await, 2);
    release(guard).await;
}

#[tokio::test]
async fn guard_is_placed_and_released_in_every_partition() {
    let redis = redis().await;
    let keyspace = Keyspace::partitioned("shop", 8).unwrap();
    let node = Node::of(keyspace, &settings(redis.url()), patient()).await;
    let (row, ids) = (Row::new([shelf(1)]), 0..40);
    node.fill_many(ids.clone(), &row).await;
    let guard = node.guard(Invalidation::hard().tag(shelf(1))).await;
    for id in ids.clone() {
        assert_read(&node.read(id, &row).await, 1, GUARDED);
    }
    row.commit();
    release(guard).await;
    for id in ids.clone() {
        assert_read(&node.read(id, &row).await, 2, STORED);
    }
    let guard = node.guard(ids.clone().fold(Invalidation::hard(), |all, id| all.key(node.key(id)))).await;
    for id in ids.clone() {
        assert_read(&node.read(id, &row).await, 2, GUARDED);
    }
    release(guard).await;
    for id in ids {
        assert_read(&node.read(id, &row).await, 2, STORED);
    }
    assert_eq!(redis.cli(&["KEYS", "*~guards"]).await.unwrap(), "");
}

/// A fill looks at a bounded number of guards. Above it, nothing is stored.
#[tokio::test]
async fn fill_with_too_many_guards_is_refused() {
    let (redis, node, row) = one_node([]).await;
    let guards = (0..1_001).fold(Invalidation::hard(), |all, id| all.key(node.key(1_000 + id)));
    let guard = node.guard(guards).await;
    assert_read(&node.read(1, &row).await, 1, GUARDED);
    release(guard).await;
    assert_read(&node.read(1, &row).await, 1, STORED);
    let guard = node.guard((0..1_000).fold(Invalidation::hard(), |all, id| all.key(node.key(1_000 + id)))).await;
    assert_read(&node.read(2, &row).await, 1, STORED);
    release(guard).await;
    assert_eq!(existing(&redis, &[GUARDS]).await, 0);
}

/// Redis may evict what has a TTL.
#[tokio::test]
async fn guards_have_no_ttl() {
    let (redis, node, _row) = one_node([]).await;
    let guard = node.guard(node.of_key(1)).await;
    assert_eq!(number(&redis, &["PTTL", GUARDS]).await, -1);
    release(guard).await;
}

#[tokio::test]
async fn fill_without_a_guard_costs_one_more_command() {
    let (redis, node) = node().await;
    let row = Row::new([shelf(1)]);
    node.fill(1, &row).await;
    let before = [calls(&redis, "exists").await, calls(&redis, "zrange").await];
    node.fill_many(100..110, &row).await;
    let after = [calls(&redis, "exists").await, calls(&redis, "zrange").await];
    // One range is that of the registry, which is older than guards.
    assert_eq!([after[0] - before[0], after[1] - before[1]], [10, 10]);
}
