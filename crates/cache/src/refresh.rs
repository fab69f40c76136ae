//! Stale-while-revalidate: the reader receives the stale value; one task in one process refreshes the entry in the
//! background.
//!
//! The stale entry stays readable until the commit replaces it by compare-and-swap on the entry's own id. So a refresh
//! that was overtaken by an invalidation or by a faster refresh changes nothing. A refresh that exceeds the policy's
//! load timeout is aborted.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use tracing::debug;

use crate::cache::Loader;
use crate::entry::StoredEntry;
use crate::{Cache, Key};

/// The entries that this process is refreshing.
#[derive(Debug, Default)]
pub(crate) struct RefreshSet(Mutex<HashSet<Key>>);

/// The right to refresh one entry within this process; released when dropped.
struct RefreshGuard {
    set: Arc<RefreshSet>,
    key: Key,
}

impl Cache {
    /// Starts a refresh of `entry`, unless this process already has one in flight.
    pub(crate) fn refresh_in_background(&self, key: &Key, entry: &StoredEntry, load: Loader) {
        let Some(turn) = RefreshSet::begin(&self.inner.refreshing, key) else { return };
        let (cache, epoch) = (self.clone(), entry.token());
        self.inner.spawn(async move {
            let key = &turn.key;
            // In the order of a miss. The key lock: one load of a key at a time. The permit: the refresh lock must not
            // expire in a queue.
            let _turn = cache.inner.single_flight.lock_key(key).await;
            let Ok(_place) = cache.acquire_permit().await else { return };
            // Nothing to report: another process refreshes, the entry has changed, or Redis is down.
            let Ok(Some(grant)) = cache.inner.store.refresh(key, epoch, cache.definition.policy.lease_duration()).await
            else {
                return;
            };
            match cache.load(&load).await {
                // If the loader declines the fill, the stale entry and the refresh lock stay, as after a failure.
                Ok(loaded) => drop(cache.commit(key, grant, loaded).await),
                // The refresh lock stays for the lease time: readers keep the stale value, and no load follows at once.
                Err(error) => {
                    debug!(%key, %error, "a background refresh failed; the stale entry is kept until its hard TTL")
                }
            }
        });
    }
}

impl RefreshSet {
    fn begin(set: &Arc<Self>, key: &Key) -> Option<RefreshGuard> {
        let new = set.0.lock().unwrap_or_else(PoisonError::into_inner).insert(key.clone());
        new.then(|| RefreshGuard { set: Arc::clone(set), key: key.clone() })
    }
}

impl Drop for RefreshGuard {
    fn drop(&mut self) {
        self.set.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.key);
    }
}
