//! Reads of a batch: their loads share a permit, and wait until all loads that can begin have begun.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use cache::loader::Batch;
use cache::outcome::Fill;
use cache::{NewEntry, Outcome};

use crate::support::{DatabaseError, Loader, Node, one_node, two_nodes};

pub(crate) fn member(node: &Node, batch: &Batch) -> Node {
    Node { cache: node.cache.in_batch(batch), ..node.clone() }
}

/// Loads that register, wait for the rest of their batch, and return as the version the number that had registered by
/// then.
fn gathering(batch: &Batch) -> Loader {
    let (batch, registered) = (batch.clone(), Arc::new(AtomicUsize::new(0)));
    Arc::new(move || {
        let (batch, registered) = (batch.clone(), Arc::clone(&registered));
        registered.fetch_add(1, SeqCst);
        Box::pin(async move {
            batch.all_started().await;
            let count = registered.load(SeqCst);
            Ok::<_, DatabaseError>(NewEntry::raw("x").version(u64::try_from(count).unwrap()))
        })
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn loads_of_a_batch_wait_until_the_last_one_has_started() {
    let (_redis, node, row) = one_node([]).await;
    node.fill(0, &row).await;
    let batch = Batch::new();
    let load = gathering(&batch);
    let members: Vec<_> = (0..40).map(|id| (id, member(&node, &batch))).collect();
    let unused = node.cache.in_batch(&batch);
    let mut readings = Vec::new();
    for (id, member) in members {
        readings.push(member.start(id, &load));
        // The load of this read has begun before the next read starts.
        node.settle().await;
    }
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
    let load = gathering(&batch);
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
