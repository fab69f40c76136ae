//! A cluster that changes while clients use it: no read is stale after an acknowledged invalidation.

use std::sync::Arc;

use cache::{CacheClient, Invalidated, Keyspace};
use testkit::{RedisCluster, eventually};

use crate::support::{LONG, Node, Row, TestRecord, patient, settings, shelf};

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

pub(crate) async fn until_used(node: &Node) {
    let is_usable = async || node.client.health().is_in_use() && node.client.pending_invalidations() == 0;
    eventually("the node uses the cluster, and nothing is deferred", LONG, is_usable).await;
}

/// Returns the first ids whose entries are in one partition.
fn neighbours(node: &Node, count: usize) -> Vec<u32> {
    let partition = |id| node.key(id).to_string().split_once('}').map(|(prefix, _)| prefix.to_owned());
    (0..).filter(|id| partition(*id) == partition(0)).take(count).collect()
}

/// All entries are in the slot that migrates: half-way, some are on one primary and some on the other.
#[tokio::test]
async fn slot_migrates_under_load_without_a_stale_read() {
    let (cluster, node, peer) = cluster().await;
    let rows: Vec<(u32, Row)> = neighbours(&node, 24).into_iter().map(|id| (id, Row::new([shelf(1)]))).collect();
    for (id, row) in &rows {
        node.fill(*id, row).await;
    }
    let moved = node.key(0).to_string();
    let before = cluster.primary_of(&moved).await.unwrap().port();
    let (mut steps, mut acknowledged, mut deferred) = (0, 0, 0);
    let step = async || {
        let (id, row) = &rows[steps * 5 % rows.len()];
        steps += 1;
        let version = row.commit();
        match node.cache.invalidate(*id).await {
            Invalidated::Done { .. } => {
                acknowledged += 1;
                for reader in [&peer, &node] {
                    let read = reader.read(*id, row).await;
                    assert!(read.version() >= Some(version), "entry {id} is stale: {:?}", read.outcome());
                }
            }
            // The process that knows of it bypasses the entry.
            Invalidated::Deferred => {
                deferred += 1;
                assert_eq!(node.read(*id, row).await.version(), Some(version));
            }
        }
    };
    cluster.migrate(&moved, step).await.unwrap();
    assert_ne!(cluster.primary_of(&moved).await.unwrap().port(), before);
    println!("{acknowledged} invalidations acknowledged, {deferred} deferred, in {steps} steps");
    assert!(acknowledged > 2 && deferred > 2, "some keys had moved, and some had not");
    until_used(&node).await;
    for (id, row) in &rows {
        assert_eq!(node.read(*id, row).await.version(), Some(row.version()));
        assert_eq!(peer.read(*id, row).await.version(), Some(row.version()));
    }
    node.remove_tag(shelf(1)).await;
    assert_eq!(node.client.tag_size(&shelf(1)).await.unwrap(), 0, "the tag sets have moved, too");
}

/// What was handed over already is not in a scan of the old primary.
#[tokio::test]
async fn purge_and_tag_removal_during_a_migration_are_acknowledged_only_when_complete() {
    let (cluster, node, peer) = cluster().await;
    let rows: Vec<(u32, Row)> = neighbours(&node, 12).into_iter().map(|id| (id, Row::new([shelf(1)]))).collect();
    for (id, row) in &rows {
        node.fill(*id, row).await;
    }
    let moved = node.key(0).to_string();
    let mut deferred = 0;
    let mut by_tag = false;
    let step = async || {
        by_tag = !by_tag;
        let versions: Vec<u64> = rows.iter().map(|(_, row)| row.commit()).collect();
        let done = match by_tag {
            true => node.client.invalidate_tag(shelf(1)).await,
            false => node.client.purge().await,
        };
        if done == Invalidated::Deferred {
            deferred += 1;
            return;
        }
        for ((id, row), version) in rows.iter().zip(versions) {
            let read = peer.read(*id, row).await;
            assert!(read.version() >= Some(version), "entry {id} is stale: {:?}", read.outcome());
        }
    };
    cluster.migrate(&moved, step).await.unwrap();
    assert!(deferred > 0, "it was about nothing");
    until_used(&node).await;
    for (id, row) in &rows {
        assert_eq!(peer.read(*id, row).await.version(), Some(row.version()));
    }
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
    cluster.until_failed_over(primary, &key, LONG).await;
    until_used(&node).await;
    until_used(&peer).await;
    for id in 0..40 {
        assert_eq!(node.read(id, &row).await.version(), Some(version));
        assert_eq!(peer.read(id, &row).await.version(), Some(version));
    }
}

/// Calls `remove` while the replica of the primary that has `key` is frozen, then promotes this replica.
async fn promote_replica_that_has_missed(cluster: &RedisCluster, key: &str, remove: impl AsyncFnOnce()) {
    let primary = cluster.primary_of(key).await.unwrap();
    let position = cluster.nodes().iter().position(|one| one.port() == primary.port()).unwrap();
    let replica = &cluster.nodes()[position + 3];
    let has_entry = async || {
        let keys = replica.cli(&["KEYS", "*"]).await.unwrap();
        keys.lines().any(|name| name == key)
    };
    eventually("the replica has the entry", LONG, has_entry).await;
    replica.pause();
    // Otherwise the removal would wait for it in the buffer of the connection.
    primary.cli(&["CLIENT", "KILL", "TYPE", "replica"]).await.unwrap();
    remove().await;
    primary.kill().await.unwrap();
    replica.resume();
    cluster.until_failed_over(primary, key, LONG).await;
}

#[tokio::test]
async fn promoted_replica_that_has_missed_a_removal_brings_nothing_back() {
    let (cluster, node, peer) = cluster().await;
    let row = Row::new([]);
    peer.fill(1, &row).await;
    let remove = async || {
        row.commit();
        assert_eq!(node.remove(1).await, 1);
    };
    promote_replica_that_has_missed(&cluster, &peer.key(1).to_string(), remove).await;
    let is_used = async || {
        for node in [&node, &peer] {
            assert_eq!(node.read(1, &row).await.version(), Some(row.version()));
        }
        node.client.health().is_in_use() && peer.client.health().is_in_use()
    };
    eventually("both nodes use the cluster again", LONG, is_used).await;
    until_used(&node).await;
    until_used(&peer).await;
    assert_eq!(peer.read(1, &row).await.version(), Some(row.version()));
}

/// No process is left that knew the earlier primary: only the record names it.
#[tokio::test]
async fn process_that_starts_after_a_failover_returns_no_removed_entry() {
    let (cluster, record, row) = (RedisCluster::start().await.unwrap(), TestRecord::new(), Row::new([]));
    let connect = async || {
        let keyspace = Keyspace::partitioned("shop", 8).unwrap();
        let client = CacheClient::connect_trusting(keyspace, &settings(cluster.url()), Arc::clone(&record) as _).await;
        Node::new(client.unwrap(), patient())
    };
    let first = connect().await;
    until_used(&first).await;
    first.fill(1, &row).await;
    let remove = async || {
        row.commit();
        assert_eq!(first.remove(1).await, 1);
        first.client.shutdown(LONG).await;
    };
    promote_replica_that_has_missed(&cluster, &first.key(1).to_string(), remove).await;
    let next = connect().await;
    let is_used = async || {
        assert_eq!(next.read(1, &row).await.version(), Some(row.version()));
        next.client.health().is_in_use() && next.client.pending_invalidations() == 0
    };
    eventually("the next process uses the cluster", LONG, is_used).await;
    next.until_hit(1, &row).await;
    assert_eq!(next.read(1, &row).await.version(), Some(row.version()));
}
