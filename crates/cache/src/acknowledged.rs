//! Invalidations for a caller that must not continue before the acknowledgement, such as a consumer of events.
//!
//! On a cluster, such a caller must wait for a deferred invalidation, and not send it anew: while slots migrate one after
//! the other, some partition refuses its part of each attempt. The retries of the cache remember what is left.

use std::time::Duration;

use tokio::time::{interval, timeout};

use crate::client::CacheClient;
use crate::error::Deferred;
use crate::invalidate::{Invalidated, Invalidation};
use crate::keyspace::{Key, Tag};

/// How often a waiting caller checks whether Redis is still in use.
const CHECK_INTERVAL: Duration = Duration::from_millis(50);

impl CacheClient {
    /// Invalidates entries. If the invalidation is deferred, it waits for at most `limit` until a retry is acknowledged, as
    /// long as Redis is in use.
    ///
    /// The first attempt is not limited by `limit`. Dropping the returned future stops neither the attempt nor the retries.
    ///
    /// # Errors
    /// Returns an error when the invalidation is still deferred.
    pub async fn invalidate_within(&self, invalidation: Invalidation, limit: Duration) -> Result<(), Deferred> {
        let invalidation = invalidation.within(self.keyspace());
        match self.shared.invalidator.invalidate(invalidation.clone()).await {
            Invalidated::Done { .. } => Ok(()),
            Invalidated::Deferred => {
                let (keys, tags) = invalidation.into_names();
                self.wait_for(keys, tags, limit).await
            }
        }
    }

    /// Removes every entry of the keyspace, and waits like [`invalidate_within`](Self::invalidate_within).
    ///
    /// # Errors
    /// Returns an error when the purge is still deferred.
    pub async fn purge_within(&self, limit: Duration) -> Result<(), Deferred> {
        match self.purge().await {
            Invalidated::Done { .. } => Ok(()),
            Invalidated::Deferred => self.wait_for([], [], limit).await,
        }
    }

    async fn wait_for(
        &self, keys: impl IntoIterator<Item = Key>, tags: impl IntoIterator<Item = Tag>, limit: Duration,
    ) -> Result<(), Deferred> {
        let unused = async {
            let mut ticks = interval(CHECK_INTERVAL);
            while self.shared.store.is_in_use() {
                ticks.tick().await;
            }
        };
        let reached = async {
            tokio::select! {
                // In this order, because the last retry may just have been acknowledged.
                biased;
                () = self.shared.invalidator.pending.wait_for(keys, tags) => Ok(()),
                () = unused => Err(Deferred),
            }
        };
        timeout(limit, reached).await.unwrap_or(Err(Deferred))
    }
}
