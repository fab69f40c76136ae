//! Deferred invalidations: those that Redis did not carry out. The client retries them until they succeed or the
//! process ends.
//!
//! From the moment at which an invalidation is deferred, this process treats the entries that it names as absent. A
//! graceful shutdown waits for deferred invalidations within its grace period. Nothing more is promised: other
//! processes may serve the old value in the meantime, and a crash of this process loses the invalidation, unless a log
//! that survives (an outbox) repeats it.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::PoisonError;
use std::sync::atomic::Ordering::SeqCst;

use metrics::{Gauge, gauge};
use tokio::sync::Notify;
use tracing::{info, warn};

use crate::entry::StoredEntry;
use crate::keyspace::Key;
use crate::keyspace::Tag;
use crate::recurring_failure::RecurringFailure;
use crate::redis::StoreError;
use crate::sync::{AtomicU64, AtomicUsize, Mutex};

/// Pending names above which the whole keyspace is purged instead.
const LIMIT: usize = 10_000;
/// Keys, and tags, in one chunk of a retry at most.
const CHUNK: usize = 128;

#[derive(Debug)]
pub(crate) struct PendingInvalidations {
    pending: Mutex<PendingSet>,
    /// Number of pending names, so that a hit needs only one or two atomic loads.
    count: AtomicUsize,
    /// The epoch: grows with every change of the pending set.
    changes: AtomicU64,
    added: Notify,
    /// Wakes the tasks that wait until nothing is pending.
    emptied: Notify,
    /// What is logged once while it lasts: invalidations are deferred (`deferring`); Redis refuses them (`refusal`).
    deferring: RecurringFailure,
    refusal: RecurringFailure,
    gauge: Gauge,
}

/// Pending names, each with the number of its latest invalidation: a retry that began earlier does not complete a later
/// one.
#[derive(Debug, Default, Clone)]
pub(crate) struct PendingSet {
    number: u64,
    keys: HashMap<Key, u64>,
    tags: HashMap<Tag, u64>,
    everything: Option<u64>,
}

impl PendingInvalidations {
    pub(crate) fn new(keyspace: &str) -> Self {
        let gauge = gauge!("cache_repairs_pending", "keyspace" => keyspace.to_owned());
        Self {
            pending: Mutex::default(),
            count: AtomicUsize::new(0),
            changes: AtomicU64::new(0),
            added: Notify::new(),
            emptied: Notify::new(),
            deferring: RecurringFailure::default(),
            refusal: RecurringFailure::default(),
            gauge,
        }
    }

    /// Adds the names of an invalidation. A soft one is retried as a hard one, which promises more.
    pub(crate) fn add(&self, keys: impl IntoIterator<Item = Key>, tags: impl IntoIterator<Item = Tag>) {
        self.change(|pending| {
            let number = pending.number;
            pending.keys.extend(keys.into_iter().map(|key| (key, number)));
            pending.tags.extend(tags.into_iter().map(|tag| (tag, number)));
        });
    }

    pub(crate) fn add_everything(&self) {
        self.change(PendingSet::replace_by_everything);
    }

    /// Returns the epoch, to be taken before a read is sent; see [`is_suspect`](Self::is_suspect) and
    /// [`unchanged_since`](Self::unchanged_since).
    pub(crate) fn epoch(&self) -> u64 {
        self.changes.load(SeqCst)
    }

    /// Returns whether `entry`, found under `key` by a read that was sent after `epoch`, must not be trusted.
    pub(crate) fn is_suspect(&self, epoch: u64, key: &Key, entry: &StoredEntry) -> bool {
        let pending = self.len() > 0 && {
            let pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
            pending.everything.is_some()
                || pending.keys.contains_key(key)
                || entry.tags().any(|tag| pending.tags.contains_key(tag))
        };
        // The epoch is compared last: an invalidation whose retry has completed since the read is no longer pending,
        // but the read may have returned the entry that it removed.
        pending || self.epoch() != epoch
    }

    /// Returns whether nothing has been pending since `epoch`: only then does a commit prove that nothing was
    /// invalidated.
    pub(crate) fn unchanged_since(&self, epoch: u64) -> bool {
        self.len() == 0 && self.epoch() == epoch
    }

    fn change(&self, change: impl FnOnce(&mut PendingSet)) {
        let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        pending.number += 1;
        change(&mut pending);
        if pending.keys.len() + pending.tags.len() > LIMIT {
            pending.replace_by_everything();
        }
        self.counted(&pending);
        self.added.notify_one();
    }

    /// Removes what has been carried out, unless it was added again since.
    pub(crate) fn done(&self, retried: &PendingSet) {
        let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        remove_if_unchanged(&mut pending.keys, &retried.keys);
        remove_if_unchanged(&mut pending.tags, &retried.tags);
        self.counted(&pending);
    }

    /// Removes a request for a purge that has been carried out, unless there is a later one. Names that were added since the
    /// request remain: the purge may have emptied their partitions before.
    pub(crate) fn purged(&self, request: u64) {
        let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        pending.everything = pending.everything.filter(|pending| *pending != request);
        self.counted(&pending);
    }

    fn counted(&self, pending: &PendingSet) {
        let count = pending.keys.len() + pending.tags.len() + usize::from(pending.everything.is_some());
        self.changes.fetch_add(1, SeqCst);
        self.count.store(count, SeqCst);
        self.gauge.set(count as f64);
        if count == 0 {
            self.emptied.notify_waiters();
        }
    }

    /// Logs once that invalidations are deferred, however many follow.
    pub(crate) fn log_deferred(&self, error: &StoreError) {
        if self.deferring.failed() {
            warn!(%error, "invalidations are deferred; they are retried until Redis acknowledges them");
        }
    }

    /// Logs that Redis refuses a deferred invalidation, once while it lasts.
    pub(crate) fn log_refused(&self, error: &str) {
        if self.refusal.failed() {
            warn!(error, "Redis refuses a deferred invalidation; it is retried");
        }
    }

    pub(crate) fn log_recovered(&self) {
        if self.len() > 0 {
            return;
        }
        if let Some(over) = self.deferring.recovered() {
            info!(invalidations = over.times, lasted = ?over.lasted, "Redis has acknowledged all deferred invalidations");
        }
        if let Some(over) = self.refusal.recovered() {
            info!(refusals = over.times, lasted = ?over.lasted, "Redis accepts deferred invalidations again");
        }
    }

    pub(crate) async fn wait_until_pending(&self) {
        // A loop, because a notification may be left over from invalidations that were carried out long ago.
        while self.len() == 0 {
            self.added.notified().await;
        }
    }

    pub(crate) fn snapshot(&self) -> PendingSet {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) async fn wait_until_empty(&self) {
        loop {
            // Before the count is read: it receives every notification from here on.
            let emptied = self.emptied.notified();
            if self.len() == 0 {
                return;
            }
            emptied.await;
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.count.load(SeqCst)
    }
}

fn remove_if_unchanged<T: Eq + Hash>(pending: &mut HashMap<T, u64>, retried: &HashMap<T, u64>) {
    pending.retain(|name, number| retried.get(name) != Some(number));
}

impl PendingSet {
    /// Returns the number of the request if a purge of the keyspace is pending.
    pub(crate) fn everything(&self) -> Option<u64> {
        self.everything
    }

    /// Requests a purge of the keyspace, which covers the names.
    fn replace_by_everything(&mut self) {
        *self = Self { number: self.number, everything: Some(self.number), ..Self::default() };
    }

    pub(crate) fn names(&self) -> (impl Iterator<Item = Key>, impl Iterator<Item = Tag>) {
        (self.keys.keys().cloned(), self.tags.keys().cloned())
    }

    /// Divides the names into parts, each of which is retried and completed on its own.
    pub(crate) fn chunks(self) -> Vec<Self> {
        let (mut keys, mut tags) = (self.keys.into_iter().peekable(), self.tags.into_iter().peekable());
        let mut chunks = Vec::new();
        while keys.peek().is_some() || tags.peek().is_some() {
            let (keys, tags) = (keys.by_ref().take(CHUNK).collect(), tags.by_ref().take(CHUNK).collect());
            chunks.push(Self { keys, tags, ..Self::default() });
        }
        chunks
    }
}

#[cfg(test)]
pub(crate) mod orders;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keyspace::Keyspace;
    use crate::sync::in_any_order;

    #[test]
    fn retry_does_not_complete_an_invalidation_added_while_it_ran() {
        in_any_order(|| {
            let pending = PendingInvalidations::new("test");
            let key = Keyspace::new("test").unwrap().key("a", 1);
            pending.add([key.clone()], [Tag::new("t", 1)]);
            let first = pending.pending.lock().unwrap().clone();
            pending.add([key.clone()], []);
            pending.done(&first);
            assert_eq!(pending.len(), 1, "the second invalidation of the key remains, and the tag is done");
            let second = pending.pending.lock().unwrap().clone();
            pending.done(&second);
            assert_eq!(pending.len(), 0);
        });
    }

    #[test]
    fn purge_does_not_complete_what_was_added_while_it_ran() {
        in_any_order(|| {
            let pending = PendingInvalidations::new("test");
            let key = Keyspace::new("test").unwrap().key("a", 1);
            pending.add([key.clone()], []);
            pending.add_everything();
            assert_eq!(pending.len(), 1, "the purge covers the key");
            let first = pending.snapshot().everything().unwrap();
            pending.add([key.clone()], []);
            pending.purged(first);
            assert_eq!(pending.len(), 1, "the partition of the key may have been purged before");
            pending.add_everything();
            let second = pending.snapshot().everything().unwrap();
            pending.add_everything();
            pending.purged(second);
            assert_eq!(pending.len(), 1, "a purge was requested again");
        });
    }

    #[test]
    fn too_many_pending_names_become_a_purge() {
        in_any_order(|| {
            let pending = PendingInvalidations::new("test");
            pending.add((0..=LIMIT).map(|id| Keyspace::new("test").unwrap().key("a", id)), []);
            assert!(pending.pending.lock().unwrap().everything.is_some());
        });
    }
}
