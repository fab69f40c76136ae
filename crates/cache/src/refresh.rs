//! Stale-while-revalidate: the reader has its answer; one task, in one process, brings the entry up to date behind.
//!
//! The stale entry stays readable until the commit replaces it by compare-and-swap on the entry's own id. So a
//! refresh that was overtaken, by an invalidation or by a faster refresh, changes nothing. One that takes longer than the
//! policy's load timeout is given up.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use tracing::debug;

use crate::cache::Loader;
use crate::entry::StoredEntry;
use crate::{Cache, Key};

/// The entries that this process is refreshing.
#[derive(Debug, Default)]
pub(crate) struct RefreshSet(Mutex<HashSet<Key>>);

/// The right to refresh one entry within this process; given back when dropped.
struct RefreshGuard {
    set: Arc<RefreshSet>,
    key: Key,
}

impl Cache {
    /// Starts a refresh of `entry`, unless this process has one under way.
    pub(crate) fn refresh_in_background(&self, key: &Key, entry: &StoredEntry, load: Loader) {
        let Some(turn) = RefreshSet::begin(&self.inner.refreshing, key) else { return };
        let (cache, epoch) = (self.clone(), entry.token());
        self.inner.spawn(async move {
            let key = &turn.key;
            // In the order of a miss. The turn: a key is loaded once at a time. The place: no lock runs out in a queue.
            let _turn = cache.inner.single_flight.lock_key(key).await;
            let Ok(_place) = cache.acquire_permit().await else { return };
            // Nothing to report: another process refreshes, the entry is no longer that one, or Redis is down.
            let Ok(Some(grant)) = cache.inner.store.refresh(key, epoch, cache.definition.policy.lease_duration()).await
            else {
                return;
            };
            match cache.load(&load).await {
                // Declined, it leaves the stale entry and the lock as a failure does.
                Ok(loaded) => drop(cache.commit(key, grant, loaded).await),
                // The refresh lock stays for the lease time: readers keep the stale value, the loader gets a rest.
                Err(error) => debug!(%key, %error, "a refresh failed; the stale entry stays until its hard TTL"),
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
