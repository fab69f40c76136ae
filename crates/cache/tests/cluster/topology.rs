//! A cluster that changes while clients use it: no read is stale after an acknowledged invalidation.

use cache::{Invalidated, Invalidation, Keyspace, Outcome};
use testkit::{RedisCluster, eventually};

use crate::support::{LONG, Node, Row, settings, shelf};

/// Two nodes on a cluster of their own, which the test may break.
async fn cluster() -> (RedisCluster, Node, Node) {
    let cluster = RedisCluster::start().await.unwrap();
    let node = async || {
        let keyspace = Keyspace::partitioned("shop", 8).unwrap();
        Node::of(keyspace, &settings(cluster.url())).await
    };
    let nodes = (node().await, node().await);
    (cluster, nodes.0, nodes.1)
}

async fn until_used(node: &Node) {
    let is_usable = async || node.client.health().is_in_use() && node.client.pending_invalidations() == 0;
    eventually("the node uses the cluster, and nothing is deferred", LONG, is_usable).await;
}

/// Half-way, some keys of the slot are on one primary and some on the other.
#[tokio::test]
async fn slot_migrates_under_load_without_a_stale_read() {
    let (cluster, node, peer) = cluster().await;
    let rows: Vec<Row> = (0..40).map(|_| Row::new([shelf(1)])).collect();
    for (id, row) in (0..).zip(&rows) {
        node.fill(id, row).await;
    }
    let (mut acknowledged, mut deferred) = (0, 0);
    let moved = node.key(0).to_string();
    let before = cluster.primary_of(&moved).await.unwrap().port();
    let (mut next, mut hits) = (0, 0);
    let step = async || {
        let (id, row) = (next % 40, &rows[next as usize % 40]);
        next += 7;
        let version = row.commit();
        let done = match next % 2 {
            0 => node.cache.invalidate(id).await,
            _ => node.client.invalidate(Invalidation::hard().key(node.key(id)).tag(shelf(2))).await,
        };
        match done {
            Invalidated::Done { .. } => {
                acknowledged += 1;
                for reader in [&peer, &node] {
                    let read = reader.read(id, row).await;
                    assert!(read.version() >= Some(version), "entry {id} is stale: {:?}", read.outcome());
                    hits += u32::from(read.outcome() == Outcome::Hit);
                }
            }
            // The process that knows of it bypasses the entry.
            Invalidated::Deferred => {
                deferred += 1;
                assert_eq!(node.read(id, row).await.version(), Some(version));
            }
        }
    };
    cluster.migrate(&moved, step).await.unwrap();
    assert_ne!(cluster.primary_of(&moved).await.unwrap().port(), before);
    println!("{acknowledged} invalidations acknowledged, {deferred} deferred, {hits} hits");
    assert!(acknowledged > 3 && hits > 0, "it was about nothing");
    until_used(&node).await;
    for (id, row) in (0..).zip(&rows) {
        assert_eq!(node.read(id, row).await.version(), Some(row.version()));
        assert_eq!(peer.read(id, row).await.version(), Some(row.version()));
    }
    node.remove_tag(shelf(1)).await;
    assert_eq!(node.client.tag_size(&shelf(1)).await.unwrap(), 0, "the tag sets have moved, too");
}

#[tokio::test]
async fn death_of_a_primary_is_survived() {
    let (cluster, node, peer) = cluster().await;
    let row = Row::new([shelf(1)]);
    node.fill_many(0..40, &row).await;
    let key = node.key(1).to_string();
    let primary = cluster.primary_of(&key).await.unwrap();
    primary.kill().await.unwrap();
    let version = row.commit();
    // Deferred at first; the entry is bypassed by the process that knows of it.
    let _ = node.client.invalidate_tag(shelf(1)).await;
    assert_eq!(node.read(1, &row).await.version(), Some(version));
    let is_replaced = async || cluster.primary_of(&key).await.is_ok_and(|now| now.port() != primary.port());
    eventually("another primary has the slot", LONG, is_replaced).await;
    until_used(&node).await;
    until_used(&peer).await;
    for id in 0..40 {
        assert_eq!(node.read(id, &row).await.version(), Some(version));
        assert_eq!(peer.read(id, &row).await.version(), Some(version));
    }
}

/// The replica has missed the removal: it was frozen, and its connection closed.
#[tokio::test]
async fn promoted_replica_that_has_missed_a_removal_brings_nothing_back() {
    let (cluster, node, peer) = cluster().await;
    let row = Row::new([]);
    peer.fill(1, &row).await;
    let key = peer.key(1).to_string();
    let primary = cluster.primary_of(&key).await.unwrap();
    let position = cluster.nodes().iter().position(|one| one.port() == primary.port()).unwrap();
    let replica = &cluster.nodes()[position + 3];
    let has_entry = async || {
        let keys = replica.cli(&["KEYS", "*"]).await.unwrap();
        keys.lines().any(|name| name == key)
    };
    eventually("the replica has the entry", LONG, has_entry).await;
    replica.pause();
    primary.cli(&["CLIENT", "KILL", "TYPE", "replica"]).await.unwrap();
    let version = row.commit();
    assert_eq!(node.remove(1).await, 1);
    primary.kill().await.unwrap();
    replica.resume();
    let is_replaced = async || cluster.primary_of(&key).await.is_ok_and(|now| now.port() != primary.port());
    eventually("another primary has the slot", LONG, is_replaced).await;
    let is_used = async || {
        for node in [&node, &peer] {
            assert_eq!(node.read(1, &row).await.version(), Some(version));
        }
        node.client.health().is_in_use() && peer.client.health().is_in_use()
    };
    eventually("both nodes use the cluster again", LONG, is_used).await;
    until_used(&node).await;
    until_used(&peer).await;
    assert_eq!(peer.read(1, &row).await.version(), Some(version));
}
