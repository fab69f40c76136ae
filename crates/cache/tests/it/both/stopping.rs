//! Deferred invalidations and graceful shutdown; writes whose COMMIT was not answered.

use std::time::Duration;

use cache::outcome::Fill;
use cache::{Invalidated, Invalidation, Outcome};
use testkit::eventually;

use crate::support::{SOON, filled_node, one_node, patient};

#[tokio::test]
async fn write_in_doubt_is_invalidated_now_and_after_the_commit_bound() {
    let (_redis, node, row) = filled_node([]).await;
    let gone = Invalidation::hard().key(node.key(1));
    let invalidated = node.client.invalidate_in_doubt(gone, Duration::from_secs(4)).await;
    assert_eq!(invalidated, Invalidated::Done { entries: 1 });
    // The database has not read the COMMIT yet, and a reader stores the old row.
    assert_eq!(node.read(1, &row).await.outcome(), Outcome::Miss(Fill::Stored));
    row.commit();
    eventually("the old row to be removed", SOON, async || node.cached(1).await.is_none()).await;
}

#[tokio::test]
async fn dropped_write_lease_invalidates_now_and_after_the_commit_bound() {
    let (_redis, node, row) = one_node([]).await;
    let writer = node.under(patient().commit_bound(Duration::from_secs(4)));
    drop(writer.cache.begin_write(1).await);
    // The lease would last for longer than a test may take.
    assert_eq!(node.read(1, &row).await.outcome(), Outcome::Miss(Fill::Stored));
    row.commit();
    eventually("the old row to be removed", SOON, async || node.cached(1).await.is_none()).await;
}
