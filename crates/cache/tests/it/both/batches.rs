//! Reads of a batch: their loads share a permit, are shed together if they get none, and wait until all loads that can
//! begin have begun.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::time::{Duration, Instant};

use cache::error::LoadError;
use cache::loader::Batch;
use cache::outcome::Fill;
use cache::{NewEntry, Outcome};
use testkit::eventually;

use crate::support::{DatabaseError, Loader, Node, Reading, Row, SOON, node_with_one_permit, one_node, two_nodes};

fn member(node: &Node, batch: &Batch) -> Node {
    Node { cache: node.cache.in_batch(batch), ..node.clone() }
}

/// Loads that register, wait for the rest of their batch, and return as the version the number that had registered by
/// then. Returns this number as well.
fn gathering(batch: &Batch) -> (Arc<AtomicU32>, Loader) {
    let (batch, registered) = (batch.clone(), Arc::new(AtomicU32::new(0)));
    let number = Arc::clone(&registered);
    let load: Loader = Arc::new(move || {
        let (batch, registered) = (batch.clone(), Arc::clone(&registered));
        registered.fetch_add(1, SeqCst);
        Box::pin(async move {
            batch.all_started().await;
            Ok::<_, DatabaseError>(NewEntry::raw("x").version(registered.load(SeqCst).into()))
        })
    });
    (number, load)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn loads_of_a_batch_wait_until_the_last_one_has_started() {
    let (_redis, node, row) = one_node([]).await;
    node.fill(0, &row).await;
    let batch = Batch::new();
    let (registered, load) = gathering(&batch);
    let members: Vec<_> = (0..40).map(|id| (id, member(&node, &batch))).collect();
    let unused = node.cache.in_batch(&batch);
    let mut readings = Vec::new();
    for (id, member) in members {
        readings.push(member.start(id, &load));
        // The load of this read has begun before the next read starts. Entry 0 needs none.
        eventually("the load", SOON, async || registered.load(SeqCst) == id).await;
    }
    node.settle().await;
    let hit = readings.remove(0).value().await;
    assert_eq!(hit.outcome(), Outcome::Hit, "what is in the cache waits for nothing");
    assert!(readings.iter().all(|reading| !reading.is_over()), "a fetch may still come");
    drop(unused);
    for reading in readings {
        let cached = reading.value().await;
        assert_eq!((cached.outcome(), cached.version()), (Outcome::Miss(Fill::Stored), Some(39)));
    }
}

/// Otherwise the batch would wait as long as the other reader, and two batches could wait for each other.
#[tokio::test]
async fn a_batch_does_not_wait_for_loads_of_other_readers() {
    let (_redis, node, peer, row) = two_nodes([]).await;
    let (mut gate, gated) = row.gated();
    let here = node.start(1, &gated);
    let loading_here = gate.began().await;
    let there = peer.start(2, &gated);
    let loading_there = gate.began().await;

    let batch = Batch::new();
    let (_, load) = gathering(&batch);
    let members: Vec<_> = (1..=5).map(|id| (id, member(&node, &batch))).collect();
    let mut readings: Vec<_> = members.into_iter().map(|(id, member)| member.start(id, &load)).collect();
    for reading in readings.drain(2..) {
        assert_eq!(reading.value().await.version(), Some(3), "three loads are of the batch");
    }
    assert!(readings.iter().all(|reading| !reading.is_over()));
    loading_here.finish();
    loading_there.finish();
    for reading in readings.into_iter().chain([here, there]) {
        assert_eq!(reading.value().await.version(), Some(1));
    }
}

/// Starts a read of each of these entries, all in one batch.
fn fetch_all(node: &Node, ids: impl IntoIterator<Item = u32>, load: &Loader) -> Vec<Reading> {
    let batch = Batch::new();
    let members: Vec<_> = ids.into_iter().map(|id| (id, member(node, &batch))).collect();
    members.into_iter().map(|(id, member)| member.start(id, load)).collect()
}

/// The loads become one request, so they need one permit; another load must wait for it.
#[tokio::test]
async fn loads_of_one_batch_share_one_permit() {
    let (_redis, node) = node_with_one_permit(SOON).await;
    let (mut gate, load) = Row::new([]).gated();
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
    let queue = Duration::from_millis(300);
    let (_redis, node) = node_with_one_permit(queue).await;
    let (mut gate, load) = Row::new([]).gated();
    let busy = node.start(99, &load);
    let loading = gate.began().await;
    let began = Instant::now();
    for reading in fetch_all(&node, 100..300, &load) {
        assert!(matches!(reading.result().await.unwrap_err(), LoadError::Overloaded));
    }
    assert!(began.elapsed() < 100 * queue, "they wait one after the other");
    loading.finish();
    busy.value().await;
}
