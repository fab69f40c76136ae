//! Stale-while-revalidate: the reader has its answer; one task, in one process, brings the entry up to date behind.
//!
//! The stale entry stays readable until the commit replaces it by compare-and-swap on the entry's own id. So a
//! refresh that was overtaken, by an invalidation or by a faster refresh, changes nothing. One that takes longer than the
//! policy's load timeout is given up.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use tracing::debug;

use crate::entry::Entry;
use crate::lane::Loader;
use crate::{Key, Lane};

/// The entries that this process is refreshing.
#[derive(Debug, Default)]
pub(crate) struct Refreshing(Mutex<HashSet<Key>>);

/// The right to refresh one entry within this process; given back when dropped.
struct Turn {
    set: Arc<Refreshing>,
    key: Key,
}

impl Lane {
    /// Starts a refresh of `entry`, unless this process has one under way.
    pub(crate) fn refresh_behind(&self, key: &Key, entry: &Entry, load: Loader) {
        let Some(turn) = Refreshing::begin(&self.inner.refreshing, key) else { return };
        let (lane, mark) = (self.clone(), entry.mark());
        self.inner.spawn(async move {
            let key = &turn.key;
            // In the order of a miss. The turn: a key is loaded once at a time. The place: no lock runs out in a queue.
            let _turn = lane.inner.flights.turn(key).await;
            let Ok(_place) = lane.enter().await else { return };
            // Nothing to report: another process refreshes, the entry is no longer that one, or Redis is down.
            let Ok(Some(grant)) = lane.inner.store.refresh(key, mark, lane.kind.policy.lease_time()).await else {
                return;
            };
            match lane.load(&load).await {
                // Declined, it leaves the stale entry and the lock as a failure does.
                Ok(loaded) => drop(lane.commit(key, grant, loaded).await),
                // The refresh lock stays for the lease time: readers keep the stale value, the loader gets a rest.
                Err(error) => debug!(%key, %error, "a refresh failed; the stale entry stays until its hard TTL"),
            }
        });
    }
}

impl Refreshing {
    fn begin(set: &Arc<Self>, key: &Key) -> Option<Turn> {
        let new = set.0.lock().unwrap_or_else(PoisonError::into_inner).insert(key.clone());
        new.then(|| Turn { set: Arc::clone(set), key: key.clone() })
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.set.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.key);
    }
}
