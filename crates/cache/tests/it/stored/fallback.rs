//! Stale-if-error and the soft load timeout: an entry after its hard TTL replaces a load that fails or takes too long.
//! An invalidated entry does not.

use std::time::Duration;

use cache::inspect::EntryState;
use cache::outcome::Fill;
use cache::{Outcome, Policy};
use testkit::eventually;

use crate::both::fallback::{expired, lasting, read_in_vain};
use crate::support::{DatabaseError, SOON, existing, one_node};

#[tokio::test]
async fn invalidated_entry_is_no_fallback() {
    let (redis, node, row) = one_node([]).await;
    let node = expired(&node, &row, lasting()).await;
    assert_eq!(existing(&redis, &["shop:item:1"]).await, 1, "it is kept");
    let kept = node.client.inspect(&node.key(1)).await.unwrap().unwrap();
    assert_eq!(kept.state, EntryState::Expired);
    row.commit();
    assert_eq!(node.remove(1).await, 1);
    let error = read_in_vain(&node, &row).await.unwrap_err();
    assert_eq!(error.loader_error::<DatabaseError>(), Some(&DatabaseError));
}

#[tokio::test]
async fn load_that_was_overtaken_by_an_invalidation_does_not_replace_the_expired_entry() {
    let (redis, node, row) = one_node([]).await;
    let node = expired(&node, &row, lasting()).await;
    let (mut gate, load) = row.gated();
    let reading = node.start(1, &load);
    let loading = gate.began().await;
    row.commit();
    node.remove(1).await;
    loading.finish();
    assert!(matches!(reading.value().await.outcome(), Outcome::Miss(Fill::Refused(_))));
    assert_eq!(existing(&redis, &["shop:item:1"]).await, 0);
    assert_eq!(node.read(1, &row).await.version(), Some(2));
}

#[tokio::test]
async fn entry_is_removed_at_the_end_of_its_time_as_a_fallback() {
    let (redis, node, row) = one_node([]).await;
    let short = Duration::from_millis(100);
    node.under(Policy::ttl(short).stale_if_error(short)).fill(1, &row).await;
    eventually("the end", SOON, async || existing(&redis, &["shop:item:1"]).await == 0).await;
}
