//! A load that hangs is aborted: its readers, its permit and its lease are released, and its value is dropped.

use std::time::Duration;

use cache::error::LoadError;
use cache::outcome::Fill;
use cache::{CacheSettings, Outcome};
use testkit::eventually;

use crate::support::{LONG, Node, Row, SOON, existing, patient, redis, settings};

/// Only a load ends by itself.
fn limited(limit: Duration) -> cache::Policy {
    patient().load_timeout(limit)
}

#[tokio::test]
async fn hung_load_releases_its_readers_its_permit_and_its_lease() {
    let redis = redis().await;
    let narrow = CacheSettings { max_loads: 1, load_queue: LONG, ..settings(redis.url()) };
    let (node, row) = (Node::with(&narrow, limited(Duration::from_millis(500))).await, Row::new([]));
    let (mut gate, load) = row.gated();
    let first = node.start(1, &load);
    drop(gate.began().await);
    let late = node.start(1, &load);
    for reading in [first, late] {
        assert!(matches!(reading.result().await.unwrap_err(), LoadError::TimedOut(_)));
    }
    assert_eq!(existing(&redis, &["shop:item:1"]).await, 0, "the lease is given back");
    for id in [1, 2] {
        assert_eq!(node.read(id, &row).await.outcome(), Outcome::Miss(Fill::Stored));
    }
}

#[tokio::test]
async fn hung_load_releases_its_readers_and_its_permit_without_redis() {
    let redis = redis().await;
    let narrow = CacheSettings { max_loads: 1, load_queue: LONG, ..settings(redis.url()) };
    let (node, row) = (Node::with(&narrow, limited(Duration::from_millis(500))).await, Row::new([]));
    redis.kill().await.unwrap();
    let (mut gate, load) = row.gated();
    let readings = [node.start(1, &load), node.start(1, &load)];
    drop(gate.began().await);
    for reading in readings {
        assert!(matches!(reading.result().await.unwrap_err(), LoadError::TimedOut(_)));
    }
    assert_eq!(node.read(2, &row).await.version(), Some(1));
}

#[tokio::test]
async fn hung_refresh_releases_its_permit_and_the_next_one_works() {
    let redis = redis().await;
    let narrow = CacheSettings { max_loads: 1, load_queue: LONG, ..settings(redis.url()) };
    let policy = limited(Duration::from_millis(300)).lease(Duration::from_secs(3));
    let (node, row) = (Node::with(&narrow, policy).await, Row::new([]));
    node.fill(1, &row).await;
    node.expire(1).await;
    let (mut gate, load) = row.gated();
    assert_eq!(node.start(1, &load).value().await.outcome(), Outcome::Stale);
    drop(gate.began().await);
    assert_eq!(node.read(2, &row).await.outcome(), Outcome::Miss(Fill::Stored), "its place is free");
    let version = row.commit();
    eventually("the next refresh", SOON, async || node.read(1, &row).await.version() == Some(version)).await;
}

#[tokio::test]
async fn readers_of_a_hung_load_receive_a_stale_value_stored_meanwhile() {
    let redis = redis().await;
    let (peer, row) = (Node::on(&redis).await, Row::new([]));
    let node = Node::with(&settings(redis.url()), limited(Duration::from_secs(6))).await;
    let (mut gate, load) = row.gated();
    let reading = node.start(1, &load);
    drop(gate.began().await);
    let writing = peer.cache.begin_write(1).await;
    let version = row.commit();
    assert_eq!(writing.publish(row.read()).await, cache::write_through::Published::Stored);
    peer.expire(1).await;
    let cached = reading.value().await;
    assert_eq!((cached.outcome(), cached.version()), (Outcome::Stale, Some(version)));
}
