//! Stale-if-error and the soft load timeout: an entry after its hard TTL replaces a load that fails or takes too long, and
//! nothing that was invalidated does.

use std::time::Duration;

use cache::error::LoadError;
use cache::outcome::Fill;
use cache::{Outcome, Policy};
use testkit::eventually;
use tokio::time::{Instant, sleep, sleep_until};

use crate::support::{DatabaseError, LONG, Loader, Node, Row, SOON, one_node, patient, two_nodes};

/// New entries outlast a test, and so does their time as a fallback.
pub(crate) fn lasting() -> Policy {
    patient().stale_if_error(LONG)
}

/// Makes entry 1 expired for every process, and returns the node under another policy.
pub(crate) async fn expired(node: &Node, row: &Row, policy: Policy) -> Node {
    let short = Duration::from_millis(50);
    node.under(Policy::ttl(short).negative_ttl(short).stale_if_error(LONG)).fill(1, row).await;
    // The entry was stored before the fill returned. A process may consider it older than it is, but not younger.
    sleep(short + Duration::from_millis(1)).await;
    node.under(policy)
}

/// Reads entry 1 while the database is down.
pub(crate) async fn read_in_vain(node: &Node, row: &Row) -> Result<cache::Cached<String>, LoadError> {
    let (mut gate, load) = row.gated();
    let reading = node.start(1, &load);
    gate.began().await.fail();
    reading.result().await
}

/// A loader that must not be called.
fn unused(row: &Row) -> Loader {
    row.gated().1
}

#[tokio::test]
async fn expired_entry_replaces_a_load_that_fails_and_no_other() {
    let (_redis, node, row) = one_node([]).await;
    let node = expired(&node, &row, lasting()).await;
    row.commit();
    let old = read_in_vain(&node, &row).await.unwrap();
    assert_eq!((old.outcome(), old.version()), (Outcome::StaleIfError, Some(1)));
    assert!(old.ttl_ms() <= 0);

    let (_redis, node, row) = one_node([]).await;
    let node = expired(&node, &row, lasting()).await;
    row.commit();
    let new = node.read(1, &row).await;
    assert_eq!((new.outcome(), new.version()), (Outcome::Miss(Fill::Stored), Some(2)), "the load did not fail");
}

/// Otherwise each read would wait for its own load to fail.
#[tokio::test]
async fn reads_after_a_failed_load_take_the_fallback_at_once_in_every_process() {
    let (_redis, node, peer, row) = two_nodes([]).await;
    let (node, peer) = (expired(&node, &row, lasting()).await, peer.under(lasting()));
    read_in_vain(&node, &row).await.unwrap();
    for reader in [&node, &peer] {
        let old = reader.start(1, &unused(&row)).value().await;
        assert_eq!((old.outcome(), old.version()), (Outcome::StaleIfError, Some(1)));
    }
}

#[tokio::test]
async fn reads_after_a_failed_background_refresh_take_the_fallback_at_once() {
    let (_redis, node, row) = one_node([]).await;
    let (soft, hard) = (Duration::from_millis(50), Duration::from_secs(1));
    node.under(Policy::ttl(hard).negative_ttl(hard).soft_ttl(soft).stale_if_error(LONG)).fill(1, &row).await;
    let filled = Instant::now();
    let node = node.under(lasting());
    eventually("the end of the soft TTL", SOON, async || {
        node.cache.get(1).await.is_none_or(|cached| cached.outcome() == Outcome::Stale)
    })
    .await;
    let (mut gate, load) = row.gated();
    let reading = node.start(1, &load);
    gate.began().await.fail();
    reading.value().await;
    sleep_until(filled + hard + Duration::from_millis(1)).await;
    node.settle().await;
    let old = node.start(1, &unused(&row)).value().await;
    assert_eq!((old.outcome(), old.version()), (Outcome::StaleIfError, Some(1)));
}

#[tokio::test]
async fn load_is_tried_again_a_lease_after_it_has_failed() {
    let (_redis, node, row) = one_node([]).await;
    let node = expired(&node, &row, lasting().lease(Duration::from_millis(300))).await;
    read_in_vain(&node, &row).await.unwrap();
    row.commit();
    eventually("the new version", SOON, async || node.read(1, &row).await.version() == Some(2)).await;
}

#[tokio::test]
async fn readers_of_two_processes_share_the_load_of_an_expired_entry() {
    let (_redis, node, peer, row) = two_nodes([]).await;
    let (node, peer) = (expired(&node, &row, lasting()).await, peer.under(lasting()));
    let (mut gate, load) = row.gated();
    let readings: Vec<_> = [&node, &node, &peer, &peer].map(|reader| reader.start(1, &load)).into();
    let loading = gate.began().await;
    node.settle().await;
    peer.settle().await;
    assert!(gate.is_quiet(), "another load of the entry");
    assert!(readings.iter().all(|reading| !reading.is_over()), "a reader did not wait although no load failed");
    loading.finish();
    for reading in readings {
        assert_eq!(reading.value().await.version(), Some(1));
    }
}

/// The reader began before the invalidation, but what it would return was not removed when it looked.
#[tokio::test]
async fn entry_that_is_invalidated_during_the_load_is_no_fallback() {
    let (_redis, node, row) = one_node([]).await;
    let node = expired(&node, &row, lasting()).await;
    let (mut gate, load) = row.gated();
    let reading = node.start(1, &load);
    let loading = gate.began().await;
    node.remove(1).await;
    loading.fail();
    assert!(reading.result().await.is_err());
}

/// Its caller has a reason not to trust the entries, such as missed invalidations.
#[tokio::test]
async fn load_that_bypasses_the_cache_on_request_has_no_fallback() {
    let (_redis, node, row) = one_node([]).await;
    let node = expired(&node, &row, lasting()).await;
    let (mut gate, load) = row.gated();
    let cache = node.cache.clone();
    let reading = tokio::spawn(async move { cache.load_uncached(1, "events-unverified", move || load()).await });
    gate.began().await.fail();
    let error = reading.await.unwrap().unwrap_err();
    assert_eq!(error.loader_error::<DatabaseError>(), Some(&DatabaseError));
}

#[tokio::test]
async fn reader_waits_for_a_slow_load_only_until_the_soft_limit() {
    let (_redis, node, row) = one_node([]).await;
    let node = expired(&node, &row, lasting().soft_load_timeout(Duration::from_millis(100))).await;
    row.commit();
    let (mut gate, load) = row.gated();
    let reading = node.start(1, &load);
    let loading = gate.began().await;
    let old = reading.value().await;
    assert_eq!((old.outcome(), old.version()), (Outcome::StaleIfError, Some(1)));
    loading.finish();
    node.until_cached(1, 2).await;
}

/// Without an entry there is nothing to return earlier.
#[tokio::test]
async fn miss_waits_longer_than_the_soft_limit() {
    let (_redis, node, row) = one_node([]).await;
    let node = node.under(lasting().soft_load_timeout(Duration::from_millis(20)));
    let (mut gate, load) = row.gated();
    let reading = node.start(1, &load);
    let loading = gate.began().await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(!reading.is_over());
    loading.finish();
    assert_eq!(reading.value().await.outcome(), Outcome::Miss(Fill::Stored));
}
