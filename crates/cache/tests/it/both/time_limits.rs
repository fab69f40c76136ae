//! A load that takes too long is aborted, and what it returns later is dropped.

use std::time::Duration;

use cache::Outcome;
use cache::error::LoadError;
use cache::outcome::Fill;
use testkit::eventually;

use crate::support::{SOON, patient, two_nodes};

#[tokio::test]
async fn timed_out_load_is_aborted_and_never_stored() {
    let (_redis, node, peer, row) = two_nodes([]).await;
    let node = node.under(patient().load_timeout(Duration::from_millis(200)));
    let (reading, hanging) = node.loading(1, &row).await;
    assert!(matches!(reading.result().await.unwrap_err(), LoadError::TimedOut(_)));
    eventually("the end of the loader", SOON, async || hanging.is_aborted()).await;
    let version = row.commit();
    assert_eq!(peer.read(1, &row).await.outcome(), Outcome::Miss(Fill::Stored));
    node.settle().await;
    assert_eq!(peer.cached(1).await, Some(version));
}
