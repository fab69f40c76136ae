//! Deferred invalidations while slots migrate one after the other, so that some partition is incomplete at any time.

use std::time::Duration;

use cache::error::Deferred;
use cache::{Invalidated, Invalidation, Keyspace};
use testkit::{Redis, RedisCluster, eventually};

use crate::support::{LONG, Node, settings, shelf};

/// The slot of one partition, on the server that has it.
struct Slot<'a> {
    source: &'a Redis,
    target: &'a Redis,
    number: String,
}

impl<'a> Slot<'a> {
    async fn of(partition: &str, cluster: &'a RedisCluster) -> Self {
        let source = cluster.primary_of(partition).await.unwrap();
        let target = cluster.nodes()[..3].iter().find(|server| server.port() != source.port()).unwrap();
        let number = source.cli(&["CLUSTER", "KEYSLOT", partition]).await.unwrap();
        Self { source, target, number }
    }

    /// From here on, the server refuses commands with keys that it does not have.
    async fn begin_to_migrate(&self) {
        let to = self.target.cli(&["CLUSTER", "MYID"]).await.unwrap();
        self.source.cli(&["CLUSTER", "SETSLOT", &self.number, "MIGRATING", &to]).await.unwrap();
    }

    async fn stay(&self) {
        self.source.cli(&["CLUSTER", "SETSLOT", &self.number, "STABLE"]).await.unwrap();
    }
}

#[tokio::test]
async fn deferred_invalidation_needs_no_moment_at_which_all_partitions_are_complete() {
    let cluster = RedisCluster::start().await.unwrap();
    let node = Node::of(Keyspace::partitioned("shop", 8).unwrap(), &settings(cluster.url())).await;
    let (first, second) = (Slot::of("{shop:0}:", &cluster).await, Slot::of("{shop:7}:", &cluster).await);
    // Once a retry has removed this key, it has also removed the entries of the tag in this partition.
    let key = (0..).map(|id| node.key(id)).find(|key| key.to_string().starts_with("{shop:7}:")).unwrap();

    first.begin_to_migrate().await;
    let waiting = async {
        let invalidation = Invalidation::hard().tag(shelf(1)).key(key);
        node.client.invalidate_within(invalidation, LONG).await
    };
    let migrating = async {
        eventually("a deferred invalidation", LONG, async || node.client.pending_invalidations() > 0).await;
        eventually("a retry", LONG, async || node.client.pending_invalidations() == 1).await;
        second.begin_to_migrate().await;
        first.stay().await;
    };
    let (done, ()) = tokio::join!(waiting, migrating);
    assert_eq!(done, Ok(()));
    assert_eq!(node.client.pending_invalidations(), 0);
    assert_eq!(node.client.invalidate_tag(shelf(1)).await, Invalidated::Deferred, "the second slot still migrates");

    assert_eq!(node.client.purge_within(Duration::ZERO).await, Err(Deferred), "it does not wait for longer");
    let (purged, ()) = tokio::join!(node.client.purge_within(LONG), second.stay());
    assert_eq!(purged, Ok(()));
    eventually("the retries", LONG, async || node.client.pending_invalidations() == 0).await;
}
