//! Stale-while-revalidate: the reader receives the stale value; one task in one process refreshes the entry in the
//! background.
//!
//! The stale entry stays readable until the commit replaces it by compare-and-swap on the entry's own id. So a refresh
//! that was overtaken by an invalidation or by a faster refresh changes nothing. A refresh that exceeds the policy's
//! load timeout is aborted.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use crate::keyspace::Key;

/// The entries that this process is refreshing.
#[derive(Debug, Default)]
pub(crate) struct RefreshSet(Mutex<HashSet<Key>>);

/// The right to refresh one entry within this process; released when dropped.
pub(crate) struct RefreshGuard {
    set: Arc<RefreshSet>,
    pub(crate) key: Key,
}

impl RefreshSet {
    /// Returns the right to refresh `key`; `None` while this process is refreshing it.
    pub(crate) fn begin(set: &Arc<Self>, key: &Key) -> Option<RefreshGuard> {
        let new = set.0.lock().unwrap_or_else(PoisonError::into_inner).insert(key.clone());
        new.then(|| RefreshGuard { set: Arc::clone(set), key: key.clone() })
    }
}

impl Drop for RefreshGuard {
    fn drop(&mut self) {
        self.set.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.key);
    }
}
