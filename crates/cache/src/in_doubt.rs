//! Invalidation after a write whose COMMIT was not answered.
//!
//! A connection that breaks during COMMIT leaves the write in doubt: it may have been committed, it may have been
//! rolled back, and it may be committed a little later, because the database has not read the COMMIT yet.
//!
//! ```text
//! writer    COMMIT ──✕ connection lost ─ invalidate ──────────────────── invalidate again
//! database              ╰──▶ commits (at the latest after `commit_bound`)
//! reader                          loads the old value, stores it          loads the new value
//! ```
//!
//! The first invalidation removes what an earlier commit has outdated; the second one removes what was stored before a
//! later commit.

use std::time::Duration;

use tokio::time::sleep;

use crate::{CacheClient, Invalidated, Invalidation};

impl CacheClient {
    /// Invalidates at once, and again after `commit_bound`, for a write that may or may not be committed.
    ///
    /// `commit_bound` is the longest time for which a COMMIT can still take effect after its connection is lost. The
    /// returned future waits only for the first invalidation, and returns its result. Both run in their own tasks: once
    /// the future has been polled, dropping it stops nothing. A graceful shutdown waits for the second one within its
    /// grace period.
    pub async fn invalidate_in_doubt(&self, invalidation: Invalidation, commit_bound: Duration) -> Invalidated {
        let (cache, again) = (self.clone(), invalidation.clone());
        self.inner.spawn(async move {
            sleep(commit_bound).await;
            // If Redis does not answer, it is deferred and retried like any other.
            let _ = cache.invalidate(again).await;
        });
        self.invalidate(invalidation).await
    }
}
