//! A memory in trouble: what a client does is what it does with a Redis in the same trouble.

use std::time::Duration;

use cache::memory::{Fault, Memory};
use cache::outcome::{Bypass, Fill};
use cache::{CacheSettings, Invalidated, Outcome};
use testkit::eventually;

use crate::support::{Node, Row, SOON, filled_node, one_node, settings, shelf, two_nodes};

const DOWN: Outcome = Outcome::Bypass(Bypass::RedisDown);

/// Waits until the node uses the memory again, and has nothing left to invalidate.
async fn recovered(node: &Node) {
    let is_over = async || node.client.health().is_in_use() && node.client.pending_invalidations() == 0;
    eventually("the memory is in use, and nothing is pending", SOON, is_over).await;
}

#[tokio::test]
async fn failing_memory_lets_reads_load_and_defers_invalidations() {
    let (memory, node, peer, row) = two_nodes([]).await;
    node.fill(1, &row).await;
    memory.set_fault(Some(Fault::Failing));
    let version = row.commit();
    assert_eq!(node.cache.invalidate(1).await, Invalidated::Deferred);
    let cached = node.read(1, &row).await;
    assert_eq!((cached.version(), cached.outcome()), (Some(version), DOWN));
    memory.set_fault(None);
    recovered(&node).await;
    recovered(&peer).await;
    assert_eq!(peer.cached(1).await, None, "the deferred invalidation was carried out");
}

#[tokio::test]
async fn hanging_memory_costs_one_time_limit_and_is_then_left_alone() {
    let memory = Memory::new();
    let node = Node::with(&memory, &CacheSettings { command_timeout: Duration::from_millis(50), ..settings() });
    let row = Row::new([]);
    node.fill(1, &row).await;
    memory.set_fault(Some(Fault::Hanging));
    assert_eq!(node.read(1, &row).await.outcome(), DOWN);
    eventually("the memory is left alone", SOON, async || !node.client.health().is_in_use()).await;
    memory.set_fault(None);
    recovered(&node).await;
    assert_eq!(node.read(1, &row).await.outcome(), Outcome::Hit);
}

#[tokio::test]
async fn slow_memory_is_waited_for_within_the_time_limit_only() {
    let memory = Memory::new();
    let limit = Duration::from_secs(5);
    let node = Node::with(&memory, &CacheSettings { command_timeout: limit, ..settings() });
    let row = Row::new([]);
    node.fill(1, &row).await;
    memory.set_fault(Some(Fault::Slow(Duration::from_millis(5))));
    assert_eq!(node.read(1, &row).await.outcome(), Outcome::Hit);
    memory.set_fault(Some(Fault::Slow(limit)));
    eventually("the memory is left alone", SOON, async || !node.client.health().is_in_use()).await;
    assert_eq!(node.read(1, &row).await.outcome(), DOWN);
}

/// As after FLUSHALL: the load in flight began before the memory lost what would refuse it.
#[tokio::test]
async fn load_in_flight_is_not_stored_in_an_emptied_memory() {
    let (memory, node, row) = one_node([shelf(1)]).await;
    let (reading, load) = node.loading(1, &row).await;
    memory.empty();
    row.commit();
    node.remove_tag(shelf(1)).await;
    load.finish();
    assert!(matches!(reading.value().await.outcome(), Outcome::Miss(Fill::Refused(_))));
    assert_eq!(node.cached(1).await, None);
}

/// The older data has the entry that an acknowledged invalidation removed.
#[tokio::test]
async fn entries_of_older_data_are_never_returned() {
    let (memory, node, row) = filled_node([]).await;
    let older = memory.snapshot();
    let version = row.commit();
    assert_eq!(node.remove(1).await, 1);
    memory.restart_from(&older);
    assert_eq!(node.read(1, &row).await.version(), Some(version));
    recovered(&node).await;
    assert_eq!(node.read(1, &row).await.version(), Some(version));
}
