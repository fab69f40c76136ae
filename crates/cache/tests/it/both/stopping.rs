//! Deferred invalidations and graceful shutdown; writes whose COMMIT was not answered.

use std::time::{Duration, Instant};

use cache::outcome::Fill;
use cache::{Invalidated, Invalidation, Outcome};
use testkit::eventually;

use crate::support::{SOON, filled_node, one_node, patient};

/// How long the result of a COMMIT may take.
const COMMIT_BOUND: Duration = Duration::from_secs(4);

#[tokio::test]
async fn write_in_doubt_is_invalidated_now_and_after_the_commit_bound() {
    let (_redis, node, row) = filled_node([]).await;
    // On a busy machine, the fill may come after the bound: then this is about nothing, and begins again.
    loop {
        let (began, gone) = (Instant::now(), Invalidation::hard().key(node.key(1)));
        let invalidated = node.client.invalidate_in_doubt(gone, COMMIT_BOUND).await;
        assert!(matches!(invalidated, Invalidated::Done { .. }), "{invalidated:?}");
        // The database has not read the COMMIT yet, and a reader stores the old row.
        assert_eq!(node.read(1, &row).await.outcome(), Outcome::Miss(Fill::Stored));
        if began.elapsed() < COMMIT_BOUND {
            break;
        }
    }
    row.commit();
    eventually("the old row to be removed", SOON, async || node.cached(1).await.is_none()).await;
}

#[tokio::test]
async fn dropped_write_lease_invalidates_now_and_after_the_commit_bound() {
    let (_redis, node, row) = one_node([]).await;
    let writer = node.under(patient().commit_bound(COMMIT_BOUND));
    loop {
        let began = Instant::now();
        drop(writer.cache.begin_write(1).await);
        // The lease would last for longer than a test may take.
        assert_eq!(node.read(1, &row).await.outcome(), Outcome::Miss(Fill::Stored));
        if began.elapsed() < COMMIT_BOUND {
            break;
        }
    }
    row.commit();
    eventually("the old row to be removed", SOON, async || node.cached(1).await.is_none()).await;
}
