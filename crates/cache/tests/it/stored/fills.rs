//! Fills: a value may be stored only if nothing that could have outdated it happened since its load began.
//!
//! Each test isolates one defence: without it in the scripts, the old value is stored.

use cache::outcome::{Fill, FillRefusal};
use cache::{Invalidation, Outcome};

use crate::both::fills::{reads_anew, refused};
use crate::support::{Node, Row, existing, node, number, one_node, server, shelf};

/// The load is in no tag set yet, and its lease stays: only the fence refuses the fill.
#[tokio::test]
async fn late_fill_is_refused_after_tag_invalidation() {
    let (redis, node, row) = one_node([shelf(1), shelf(2)]).await;
    for (id, tag) in [(1, shelf(1)), (2, shelf(2))] {
        let (reading, load) = node.loading(id, &row).await;
        let before = row.version();
        row.commit();
        node.remove_tag(tag).await;
        load.finish();
        let cached = reading.value().await;
        assert_eq!(
            (cached.outcome(), cached.version()),
            (Outcome::Miss(Fill::Refused(FillRefusal::Fenced)), Some(before))
        );
        assert_eq!(existing(&redis, &[node.key(id).as_str()]).await, 0, "the refused lease is given back");
        reads_anew(&node, id, &row).await;
    }
}

/// The clock starts again at 1, far below the clock of the load, and the lease is there: only the generation refuses
/// the fill.
#[tokio::test]
async fn late_fill_is_refused_after_loss_of_the_fence_table() {
    let (redis, node, row) = one_node([shelf(1)]).await;
    for _ in 0..5 {
        node.remove_tag(shelf(1)).await;
    }
    for (id, lost_again) in [(1, false), (2, true)] {
        let (reading, load) = node.loading(id, &row).await;
        redis.cli(&["DEL", "shop:~fence"]).await.unwrap();
        row.commit();
        node.remove_tag(shelf(1)).await;
        if lost_again {
            redis.cli(&["DEL", "shop:~fence"]).await.unwrap();
        }
        load.finish();
        assert_eq!(reading.value().await.outcome(), Outcome::Miss(Fill::Refused(FillRefusal::Generation)));
        reads_anew(&node, id, &row).await;
    }
}

/// There are more fences than are kept: the relevant one is dropped, and the floor replaces it.
#[tokio::test]
async fn late_fill_is_refused_by_the_floor_after_its_fence_was_dropped() {
    let (redis, node, row) = one_node([shelf(1)]).await;
    for (id, forget) in [(1, Invalidation::hard()), (2, Invalidation::soft())] {
        let (reading, load) = node.loading(id, &row).await;
        row.commit();
        node.remove_tag(shelf(1)).await;
        let fill = "for i = 1, 10000 do redis.call('HSET', KEYS[1], 't:x:' .. i, 1) end";
        redis.cli(&["EVAL", fill, "1", "shop:~fence"]).await.unwrap();
        node.invalidate(forget.tag(shelf(2))).await;
        assert_eq!(redis.cli(&["HEXISTS", "shop:~fence", "t:shelf:1"]).await.unwrap(), "0", "it is forgotten");
        load.finish();
        assert_eq!(reading.value().await.outcome(), Outcome::Miss(Fill::Refused(FillRefusal::BelowFloor)));
        reads_anew(&node, id, &row).await;
    }
}

#[tokio::test]
async fn fence_table_is_bounded() {
    let (redis, node) = node().await;
    for invalidate in [Invalidation::hard, Invalidation::soft] {
        let fill = "for i = 1, 10000 do redis.call('HSET', KEYS[1], 't:x:' .. i, 1) end";
        redis.cli(&["EVAL", fill, "1", "shop:~fence"]).await.unwrap();
        node.invalidate(invalidate().tags([shelf(1), shelf(2)])).await;
        let fields = number(&redis, &["HLEN", "shop:~fence"]).await;
        let most = 10 * i64::from(node.client.keyspace().partitions());
        assert!(fields < most, "{fields} fields in the fence tables after {:?}", invalidate());
    }
}

#[tokio::test]
async fn load_without_its_lease_is_returned_and_not_stored() {
    let (redis, node, row) = one_node([]).await;
    let (reading, load) = node.loading(1, &row).await;
    // As when the lease expires, or is evicted.
    redis.cli(&["UNLINK", "shop:item:1"]).await.unwrap();
    row.commit();
    // There is no entry, so this invalidation leaves no trace. Only the missing lease refuses the fill.
    assert_eq!(node.remove(1).await, 0);
    load.finish();
    refused(&reading.value().await, FillRefusal::LeaseLost);
    assert_eq!(existing(&redis, &["shop:item:1"]).await, 0);
    reads_anew(&node, 1, &row).await;
}

/// When the first load commits, its entry holds a lease of another load.
#[tokio::test]
async fn lease_belongs_to_one_load() {
    let redis = server().await;
    let (one, other) = (Node::on(&redis).await, Node::on(&redis).await);
    let row = Row::new([]);
    let (mut gate, load) = row.gated();
    let first = one.start(1, &load);
    let first_load = gate.began().await;
    row.commit();
    one.remove(1).await;
    let second = other.start(1, &load);
    let second_load = gate.began().await;
    first_load.finish();
    refused(&first.value().await, FillRefusal::LeaseLost);
    second_load.finish();
    let second = second.value().await;
    assert_eq!(
        (second.version(), second.outcome()),
        (Some(2), Outcome::Miss(Fill::Stored)),
        "its lease was left alone"
    );
    assert_eq!(one.cached(1).await, Some(2));
}

#[tokio::test]
async fn scripts_unknown_to_redis_are_sent_again() {
    let (redis, node, row) = one_node([shelf(1)]).await;
    for step in 0..12 {
        redis.cli(&["SCRIPT", "FLUSH"]).await.unwrap();
        match step % 4 {
            0 => node.fill(1, &row).await,
            1 => assert_eq!(node.expire_tag(shelf(1)).await, 1),
            2 => assert_eq!(node.expire(1).await, 1),
            _ => assert_eq!(node.remove_tag(shelf(1)).await, 1),
        }
    }
    let (reading, load) = node.loading(1, &row).await;
    redis.cli(&["SCRIPT", "FLUSH"]).await.unwrap();
    load.finish();
    assert_eq!(reading.value().await.outcome(), Outcome::Miss(Fill::Stored), "the commit survives it, too");
}
