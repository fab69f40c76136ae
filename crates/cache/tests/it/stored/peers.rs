//! Several processes share one load: the others wait for the holder of the lease, and take over when it dies.

use std::time::Duration;

use cache::Outcome;
use cache::outcome::{Bypass, Fill};
use tokio::time::Instant;

use crate::support::{LONG, Node, Row, SOON, number, one_node, patient, server, two_nodes};

/// A lease whose holder is gone, as stored in Redis.
const FOREIGN_LEASE: &str = "L0123456789abcdef0123456789abcdef";

#[tokio::test]
async fn readers_of_many_processes_share_one_load() {
    let redis = server().await;
    let nodes = [Node::on(&redis).await, Node::on(&redis).await];
    let row = Row::new([]);
    let (mut gate, load) = row.gated();
    let readings: Vec<_> = (0..100).flat_map(|_| nodes.each_ref().map(|node| node.start(1, &load))).collect();
    let loading = gate.began().await;
    for node in &nodes {
        node.settle().await;
    }
    loading.finish();
    let mut outcomes = Vec::new();
    for reading in readings {
        let cached = reading.value().await;
        assert_eq!(cached.version(), Some(1));
        outcomes.push(cached.outcome());
    }
    assert_eq!(row.loads(), 1);
    assert_eq!(outcomes.iter().filter(|outcome| **outcome == Outcome::Miss(Fill::Stored)).count(), 1);
    assert_eq!(outcomes.iter().filter(|outcome| **outcome == Outcome::Collapsed).count(), 199);
}

#[tokio::test]
async fn dead_loader_delays_other_processes_by_its_lease_at_most() {
    let redis = server().await;
    let nodes = [Node::on(&redis).await, Node::on(&redis).await];
    let row = Row::new([]);
    let began = Instant::now();
    redis.cli(&["SET", "shop:item:1", FOREIGN_LEASE, "PX", "300"]).await.unwrap();
    let readings: Vec<_> = (0..50).flat_map(|_| nodes.each_ref().map(|node| node.start(1, &row.loader()))).collect();
    for reading in readings {
        assert_eq!(reading.value().await.version(), Some(1));
    }
    assert!(began.elapsed() >= Duration::from_millis(300) && began.elapsed() < SOON, "{:?}", began.elapsed());
    assert_eq!(row.loads(), 1, "one of them has taken its place");
    assert_eq!(nodes[0].cached(1).await, Some(1));
}

#[tokio::test]
async fn reader_loads_without_storing_after_its_wait_ends() {
    let redis = server().await;
    let node = Node::on(&redis).await.under(patient().wait(Duration::from_millis(50)));
    let row = Row::new([]);
    redis.cli(&["SET", "shop:item:1", FOREIGN_LEASE, "PX", "60000"]).await.unwrap();
    let cached = node.read(1, &row).await;
    assert_eq!((cached.version(), cached.outcome()), (Some(1), Outcome::Bypass(Bypass::LeaseHeld)));
    assert_eq!(redis.cli(&["GET", "shop:item:1"]).await.unwrap(), FOREIGN_LEASE);
}

#[tokio::test]
async fn reader_stops_waiting_for_an_invalidated_lease() {
    let (redis, node, peer, row) = two_nodes([]).await;
    redis.cli(&["SET", "shop:item:1", FOREIGN_LEASE, "PX", "60000"]).await.unwrap();
    let waiting = node.under(patient().wait(LONG)).start(1, &row.loader());
    node.settle().await;
    assert!(!waiting.is_over());
    peer.remove(1).await;
    assert_eq!(waiting.value().await.outcome(), Outcome::Miss(Fill::Stored));
}

#[tokio::test]
async fn lease_duration_follows_the_policy() {
    let (redis, node, row) = one_node([]).await;
    let (mut gate, load) = row.gated();
    let reading = node.under(patient().lease(Duration::from_secs(7))).start(1, &load);
    let loading = gate.began().await;
    assert!((1..=7_000).contains(&number(&redis, &["PTTL", "shop:item:1"]).await));
    loading.finish();
    reading.value().await;
}
