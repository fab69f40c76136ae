//! A stale entry is served at once and refreshed in the background, by one task of one process. A newer write or
//! invalidation always wins over the refresh.

use cache::Outcome;
use cache::inspect::EntryState;
use cache::outcome::{Fill, FillRefusal};
use testkit::eventually;

use crate::both::refreshing::{all_are_stale, refreshing};
use crate::support::{Node, Row, SOON, existing, filled_node, node, one_node, server, shelf, two_nodes};

#[tokio::test]
async fn refresh_overtaken_by_an_invalidation_stores_nothing() {
    let (redis, node) = node().await;
    for by_tag in [false, true] {
        let row = Row::new([shelf(1)]);
        let (_gate, load) = refreshing(&node, &row).await;
        row.commit();
        let removed = if by_tag { node.remove_tag(shelf(1)).await } else { node.remove(1).await };
        assert_eq!(removed, 1);
        load.finish();
        node.settle().await;
        assert_eq!(existing(&redis, &["shop:item:1"]).await, 0, "by tag: {by_tag}");
        assert_eq!(node.read(1, &row).await.version(), Some(row.version()));
        node.remove(1).await;
    }
}

/// The refreshed value carries a tag that the stale entry does not: only the fence refuses it.
#[tokio::test]
async fn refresh_is_refused_by_a_fence_on_a_tag_of_the_new_value_only() {
    let (redis, node, row) = filled_node([]).await;
    node.expire(1).await;
    row.set_tags([shelf(1)]);
    let (mut gate, load) = row.gated();
    assert_eq!(node.start(1, &load).value().await.outcome(), Outcome::Stale);
    let load = gate.began().await;
    node.remove_tag(shelf(1)).await;
    load.finish();
    node.settle().await;
    let entry = node.client.inspect(&node.key(1)).await.unwrap().unwrap();
    assert_eq!((entry.state, entry.tags.len()), (EntryState::Stale, 0), "the old entry, which never was on that shelf");
    assert_eq!(existing(&redis, &["shop:~refresh:item:1"]).await, 0, "the next reader may try again at once");
}

/// The fence table vanishes, and the fence with it; the stale entry keeps its id. Only the generation refuses the
/// refresh.
#[tokio::test]
async fn refresh_is_refused_after_loss_of_the_fence_table() {
    let (redis, node, row) = one_node([]).await;
    for _ in 0..5 {
        node.remove_tag(shelf(1)).await;
    }
    node.fill(1, &row).await;
    node.expire(1).await;
    row.set_tags([shelf(1)]);
    let (mut gate, load) = row.gated();
    assert_eq!(node.start(1, &load).value().await.outcome(), Outcome::Stale);
    let load = gate.began().await;
    redis.cli(&["DEL", "shop:~fence"]).await.unwrap();
    node.remove_tag(shelf(1)).await;
    load.finish();
    node.settle().await;
    let entry = node.client.inspect(&node.key(1)).await.unwrap().unwrap();
    assert_eq!((entry.state, entry.tags.len()), (EntryState::Stale, 0));
}

#[tokio::test]
async fn refresh_overtaken_by_a_faster_refresh_stores_nothing() {
    let redis = server().await;
    let (slow, fast) = (Node::on(&redis).await, Node::on(&redis).await);
    let row = Row::new([]);
    let (_gate, load) = refreshing(&slow, &row).await;
    row.commit();
    // As when the lock expires.
    redis.cli(&["UNLINK", "shop:~refresh:item:1"]).await.unwrap();
    eventually("a faster refresh", SOON, async || fast.read(1, &row).await.version() == Some(2)).await;
    load.finish();
    slow.settle().await;
    assert_eq!(slow.cached(1).await, Some(2));
}

/// The processes do not know each other: the lock in Redis protects the database from extra loads.
#[tokio::test]
async fn many_readers_of_many_processes_cause_one_refresh() {
    let (redis, node, row) = one_node([]).await;
    let peers = [Node::on(&redis).await, Node::on(&redis).await];
    let (_gate, refresh) = refreshing(&node, &row).await;
    let (mut gate, load) = row.gated();
    let readings: Vec<_> = (0..100).flat_map(|_| peers.each_ref().map(|peer| peer.start(1, &load))).collect();
    all_are_stale(readings).await;
    for peer in &peers {
        peer.settle().await;
    }
    assert!(gate.is_quiet(), "a second process refreshes as well");
    refresh.finish();
    node.settle().await;
    assert_eq!(row.loads(), 2, "the fill and one refresh");
    assert_eq!(existing(&redis, &["shop:~refresh:item:1"]).await, 0, "the lock is given back");
}

/// The lock belongs to another process, whose refresh is still in flight: no second refresh should begin.
#[tokio::test]
async fn load_that_lost_its_lease_does_not_release_the_lock_of_a_refresh() {
    let (redis, node, peer, row) = two_nodes([]).await;
    let (losing, load) = peer.loading(1, &row).await;
    node.remove(1).await;
    let (_gate, _refresh) = refreshing(&node, &row).await;
    load.finish();
    assert_eq!(losing.value().await.outcome(), Outcome::Miss(Fill::Refused(FillRefusal::LeaseLost)));
    assert_eq!(existing(&redis, &["shop:~refresh:item:1"]).await, 1);
}
