//! Invalidations for a caller that must not continue before the acknowledgement, such as a consumer of events.
//!
//! On a cluster, such a caller must wait for a deferred invalidation, and not send it anew: while slots migrate one after
//! the other, some partition refuses its part of each attempt. The retries of the cache remember what is left.

use std::time::Duration;

use tokio::time::timeout;

use crate::client::CacheClient;
use crate::error::Deferred;
use crate::invalidate::{Invalidated, Invalidation};

impl CacheClient {
    /// Invalidates entries. If the invalidation is deferred, it waits for at most `limit` until a retry is acknowledged.
    ///
    /// # Errors
    /// Returns an error when the invalidation is still deferred. The retries continue.
    pub async fn invalidate_within(&self, invalidation: Invalidation, limit: Duration) -> Result<(), Deferred> {
        let pending = &self.shared.invalidator.pending;
        let invalidation = invalidation.within(self.keyspace());
        match self.shared.invalidator.invalidate(invalidation.clone()).await {
            Invalidated::Done { .. } => Ok(()),
            Invalidated::Deferred => {
                let (keys, tags) = invalidation.into_names();
                timeout(limit, pending.wait_for(keys, tags)).await.map_err(|_| Deferred)
            }
        }
    }

    /// Removes every entry of the keyspace. If the purge is deferred, it waits for at most `limit` until a retry is
    /// acknowledged.
    ///
    /// # Errors
    /// Returns an error when the purge is still deferred. The retries continue.
    pub async fn purge_within(&self, limit: Duration) -> Result<(), Deferred> {
        match self.purge().await {
            Invalidated::Done { .. } => Ok(()),
            Invalidated::Deferred => {
                timeout(limit, self.shared.invalidator.pending.wait_for([], [])).await.map_err(|_| Deferred)
            }
        }
    }
}
