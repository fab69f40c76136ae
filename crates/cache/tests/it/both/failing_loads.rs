//! A load that fails or panics: all waiting readers receive the error, and the next load is not blocked.

use std::time::Duration;

use cache::Outcome;
use cache::error::LoadError;
use cache::outcome::Fill;
use testkit::eventually;

use crate::support::{SOON, one_node, patient, two_nodes};

#[tokio::test]
async fn panic_of_a_loader_reaches_all_readers_and_poisons_nothing() {
    let (_redis, node, row) = one_node([]).await;
    let (mut gate, load) = row.gated();
    let (first, joiner) = (node.start(1, &load), node.start(1, &load));
    gate.began().await.panic();
    for reading in [first, joiner] {
        assert!(matches!(reading.result().await.unwrap_err(), LoadError::Panicked));
    }
    assert_eq!(node.read(1, &row).await.outcome(), Outcome::Miss(Fill::Stored));
}

#[tokio::test]
async fn panic_of_a_loader_releases_the_lease() {
    let (_redis, node, row) = one_node([]).await;
    let (mut gate, load) = row.gated();
    let reading = node.start(1, &load);
    gate.began().await.panic();
    assert!(matches!(reading.result().await.unwrap_err(), LoadError::Panicked));
    // With the lease still held, this read would wait for longer than a test may take.
    assert_eq!(node.read(1, &row).await.outcome(), Outcome::Miss(Fill::Stored));
}

#[tokio::test]
async fn failed_load_does_not_release_the_lease_of_another_load() {
    let (_redis, node, peer, row) = two_nodes([]).await;
    let (mut gate, load) = row.gated();
    let failing = node.start(1, &load);
    let failing_load = gate.began().await;
    node.remove(1).await;
    let other = peer.start(1, &load);
    let other_load = gate.began().await;
    failing_load.fail();
    failing.result().await.unwrap_err();
    other_load.finish();
    assert_eq!(other.value().await.outcome(), Outcome::Miss(Fill::Stored));
}

#[tokio::test]
async fn failed_refresh_keeps_the_stale_value_and_the_next_one_works() {
    let (_redis, node, row) = one_node([]).await;
    // The lease time is how long the next refresh has to wait.
    let brief = node.under(patient().lease(Duration::from_secs(2)));
    for (id, panics) in [(1, false), (2, true)] {
        node.fill(id, &row).await;
        node.expire(id).await;
        let (mut gate, load) = row.gated();
        assert_eq!(brief.start(id, &load).value().await.outcome(), Outcome::Stale);
        match panics {
            true => gate.began().await.panic(),
            false => gate.began().await.fail(),
        }
        let version = row.commit();
        eventually("the next refresh", SOON, async || {
            let cached = brief.read(id, &row).await;
            assert!(matches!(cached.outcome(), Outcome::Stale | Outcome::Hit));
            cached.outcome() == Outcome::Hit && cached.version() == Some(version)
        })
        .await;
    }
}
