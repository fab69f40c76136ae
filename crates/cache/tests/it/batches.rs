//! Reads of a batch: their loads share one permit, and are shed together if they get none.

use std::time::Duration;

use cache::error::LoadError;
use cache::loader::Batch;
use cache::outcome::Fill;
use cache::{CacheSettings, Outcome};

use crate::both::batches::member;
use crate::support::{Loader, Node, Reading, Row, SOON, patient, redis, settings};

/// Starts a read of each of these entries, all in one batch.
fn fetch_all(node: &Node, ids: impl IntoIterator<Item = u32>, load: &Loader) -> Vec<Reading> {
    let batch = Batch::new();
    let members: Vec<_> = ids.into_iter().map(|id| (id, member(node, &batch))).collect();
    members.into_iter().map(|(id, member)| member.start(id, load)).collect()
}

/// The loads become one request, so they need one permit; another load must wait for it.
#[tokio::test]
async fn loads_of_one_batch_share_one_permit() {
    let redis = redis().await;
    let narrow = CacheSettings { max_loads: 1, load_queue: SOON, ..settings(redis.url()) };
    let (node, row) = (Node::with(&narrow, patient()).await, Row::new([]));
    let (mut gate, load) = row.gated();
    let readings = fetch_all(&node, 0..20, &load);
    let mut loads = Vec::new();
    for _ in 0..20 {
        loads.push(gate.began().await);
    }
    let other = node.start(99, &load);
    node.settle().await;
    assert!(gate.is_quiet(), "the only permit is in use");
    for load in loads {
        load.finish();
    }
    for reading in readings {
        assert_eq!(reading.value().await.outcome(), Outcome::Miss(Fill::Stored));
    }
    gate.began().await.finish();
    assert_eq!(other.value().await.outcome(), Outcome::Miss(Fill::Stored));
}

#[tokio::test]
async fn loads_of_a_batch_without_a_permit_are_shed_together() {
    let redis = redis().await;
    let queue = Duration::from_millis(300);
    let narrow = CacheSettings { max_loads: 1, load_queue: queue, ..settings(redis.url()) };
    let (node, row) = (Node::with(&narrow, patient()).await, Row::new([]));
    let (mut gate, load) = row.gated();
    let busy = node.start(99, &load);
    let loading = gate.began().await;
    let began = std::time::Instant::now();
    for reading in fetch_all(&node, 100..300, &load) {
        assert!(matches!(reading.result().await.unwrap_err(), LoadError::Overloaded));
    }
    assert!(began.elapsed() < 100 * queue, "they wait one after the other");
    loading.finish();
    busy.value().await;
}
