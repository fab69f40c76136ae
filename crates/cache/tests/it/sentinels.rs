//! Redis behind sentinels: a failover to a replica that has missed an acknowledged invalidation makes no read stale.

use std::sync::Arc;
use std::time::Duration;

use cache::{CacheClient, CacheSettings, Keyspace, Near, Outcome, Policy};
use testkit::{Sentinels, eventually};

use crate::support::{LONG, Node, Row, SOON, TestRecord, patient, settings, shelf};

const BOUND: Duration = Duration::from_secs(2);

/// Two nodes that find the primary through the sentinels; the first one also has a near cache.
async fn nodes(sentinels: &Sentinels) -> [Node; 2] {
    let settings = CacheSettings { near_bound: Some(BOUND), ..settings(sentinels.url()) };
    let near = Policy::near(patient(), Near::Strict(BOUND));
    [Node::with(&settings, near).await, Node::with(&settings, patient()).await]
}

async fn until_used(node: &Node) {
    let is_usable = async || node.client.health().is_in_use() && node.client.pending_invalidations() == 0;
    eventually("the node uses Redis, and nothing is deferred", LONG, is_usable).await;
}

#[tokio::test]
async fn every_kind_of_connection_finds_the_primary() {
    assert_every_connection_finds_the_primary(&Sentinels::start().await.unwrap()).await;
}

#[tokio::test]
async fn every_kind_of_connection_finds_the_primary_over_tls() {
    let sentinels = Sentinels::start_over_tls().await.unwrap();
    assert!(sentinels.url().starts_with("rediss-sentinel://"), "{}", sentinels.url());
    assert_every_connection_finds_the_primary(&sentinels).await;
}

async fn assert_every_connection_finds_the_primary(sentinels: &Sentinels) {
    let ([node, peer], row) = (nodes(sentinels).await, Row::new([shelf(1)]));
    until_used(&node).await;
    eventually("a hit from memory", SOON, async || node.read(1, &row).await.outcome() == Outcome::NearHit).await;
    peer.until_hit(1, &row).await;
    row.commit();
    assert_eq!(peer.remove_tag(shelf(1)).await, 1);
    assert_eq!(node.read(1, &row).await.version(), Some(2));
    assert_eq!(sentinels.primary().await.unwrap(), sentinels.first.port());
}

/// The new primary still has the entry that was removed on the old one.
#[tokio::test]
async fn failover_to_a_lagging_replica_brings_no_removed_entry_back() {
    let sentinels = Sentinels::start().await.unwrap();
    let ([node, peer], row) = (nodes(&sentinels).await, Row::new([shelf(1)]));
    until_used(&node).await;
    peer.fill(1, &row).await;
    let key = peer.key(1).to_string();
    let has_entry = async || sentinels.second.cli(&["EXISTS", &key]).await.unwrap() == "1";
    eventually("the replica has the entry", SOON, has_entry).await;
    sentinels.cut_replication().await.unwrap();
    row.commit();
    assert_eq!(peer.remove_tag(shelf(1)).await, 1);
    assert!(has_entry().await, "the replica has missed the removal");

    sentinels.fail_over().await.unwrap();
    sentinels.until_failed_over().await.unwrap();
    let is_used = async || {
        for node in [&node, &peer] {
            assert_eq!(node.read(1, &row).await.version(), Some(2), "during the failover");
        }
        // Then what is in use is the second server. A demotion breaks all connections, that of the question as well.
        let is_demoted = sentinels.first.cli(&["ROLE"]).await.is_ok_and(|role| role.starts_with("slave"));
        is_demoted && node.client.health().is_in_use() && peer.client.health().is_in_use()
    };
    eventually("both nodes use the second server", LONG, is_used).await;
    until_used(&node).await;
    until_used(&peer).await;
    assert_eq!(peer.read(1, &row).await.version(), Some(2));
    peer.until_hit(1, &row).await;
    assert_eq!(peer.read(1, &row).await.version(), Some(2));
}

/// No process is left that knew the earlier primary: only the record names it.
#[tokio::test]
async fn process_that_starts_after_a_failover_returns_no_removed_entry() {
    let (sentinels, record, row) = (Sentinels::start().await.unwrap(), TestRecord::new(), Row::new([]));
    let connect = async || {
        let (keyspace, settings) = (Keyspace::new("shop").unwrap(), settings(sentinels.url()));
        Node::new(
            CacheClient::connect_trusting(keyspace, &settings, Arc::clone(&record) as _).await.unwrap(),
            patient(),
        )
    };
    let earlier = connect().await;
    until_used(&earlier).await;
    earlier.fill(1, &row).await;
    let key = earlier.key(1).to_string();
    let has_entry = async || sentinels.second.cli(&["EXISTS", &key]).await.unwrap() == "1";
    eventually("the replica has the entry", SOON, has_entry).await;
    sentinels.cut_replication().await.unwrap();
    row.commit();
    assert_eq!(earlier.cache.invalidate(1).await.acknowledged(), Ok(1));
    earlier.client.shutdown(LONG).await;
    assert!(has_entry().await, "the replica has missed the removal");

    sentinels.first.kill().await.unwrap();
    let is_over = async || sentinels.primary().await.unwrap() == sentinels.second.port();
    eventually("the sentinels name the second server", LONG, is_over).await;
    assert!(has_entry().await, "the new primary still has the removed entry");
    let later = connect().await;
    let is_used = async || {
        assert_eq!(later.read(1, &row).await.version(), Some(2));
        later.client.health().is_in_use() && later.client.pending_invalidations() == 0
    };
    eventually("the later process uses the second server", LONG, is_used).await;
    later.until_hit(1, &row).await;
    assert_eq!(later.read(1, &row).await.version(), Some(2));
}

#[tokio::test]
async fn death_of_the_primary_is_survived() {
    assert_death_of_the_primary_is_survived(&Sentinels::start().await.unwrap()).await;
}

#[tokio::test]
async fn death_of_the_primary_is_survived_over_tls() {
    assert_death_of_the_primary_is_survived(&Sentinels::start_over_tls().await.unwrap()).await;
}

async fn assert_death_of_the_primary_is_survived(sentinels: &Sentinels) {
    let ([node, peer], row) = (nodes(sentinels).await, Row::new([]));
    until_used(&node).await;
    peer.fill(1, &row).await;
    sentinels.first.kill().await.unwrap();
    let version = row.commit();
    // Deferred, or acknowledged by the second server.
    let _ = peer.cache.invalidate(1).await;
    assert_eq!(peer.read(1, &row).await.version(), Some(version));
    until_used(&peer).await;
    until_used(&node).await;
    for node in [&node, &peer] {
        assert_eq!(node.read(1, &row).await.version(), Some(version));
    }
    assert_eq!(sentinels.primary().await.unwrap(), sentinels.second.port());
}
