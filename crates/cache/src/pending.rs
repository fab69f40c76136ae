//! Deferred invalidations: those that Redis did not carry out. The client retries them until they succeed or the
//! process ends.
//!
//! From the moment at which an invalidation is deferred, this process treats the entries that it names as absent. A
//! graceful shutdown waits for deferred invalidations within its grace period. Nothing more is promised: other
//! processes may serve the old value in the meantime, and a crash of this process loses the invalidation, unless a log
//! that survives (an outbox) repeats it.

mod names;

use std::sync::PoisonError;
use std::sync::atomic::Ordering::SeqCst;

use metrics::{Gauge, gauge};
use tokio::sync::Notify;
use tracing::{info, warn};

pub(crate) use names::PendingSet;

use crate::entry::StoredEntry;
use crate::keyspace::Key;
use crate::keyspace::Tag;
use crate::recurring_failure::RecurringFailure;
use crate::redis::{Step, StoreError};
use crate::sync::{AtomicU64, AtomicUsize, Mutex, MutexGuard};

/// Pending names above which the whole keyspace is purged instead.
const LIMIT: usize = 10_000;
/// The same for the steps that the tags need in all partitions together.
const STEPS_LIMIT: usize = 1_000_000;

#[derive(Debug)]
pub(crate) struct PendingInvalidations {
    pending: Mutex<PendingSet>,
    /// The number of partitions of the keyspace.
    partitions: u16,
    /// Number of pending names, so that a hit needs only one or two atomic loads.
    count: AtomicUsize,
    /// The epoch: grows with every change of the pending set.
    changes: AtomicU64,
    added: Notify,
    /// Wakes the tasks that wait until something is carried out.
    progressed: Notify,
    /// What is logged once while it lasts: invalidations are deferred (`deferring`); Redis refuses them (`refusal`).
    deferring: RecurringFailure,
    refusal: RecurringFailure,
    gauge: Gauge,
}

impl PendingInvalidations {
    pub(crate) fn new(keyspace: &str, partitions: u16) -> Self {
        let gauge = gauge!("cache_repairs_pending", "keyspace" => keyspace.to_owned());
        Self {
            pending: Mutex::default(),
            partitions,
            count: AtomicUsize::new(0),
            changes: AtomicU64::new(0),
            added: Notify::new(),
            progressed: Notify::new(),
            deferring: RecurringFailure::default(),
            refusal: RecurringFailure::default(),
            gauge,
        }
    }

    /// Adds the names of an invalidation. A soft one is retried as a hard one, which promises more.
    pub(crate) fn add(&self, keys: impl IntoIterator<Item = Key>, tags: impl IntoIterator<Item = Tag>) {
        self.change(|pending| pending.add(keys, tags));
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
            let pending = self.lock();
            pending.everything().is_some() || pending.names_key(key) || entry.tags().any(|tag| pending.names_tag(tag))
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
        let mut pending = self.lock();
        pending.number += 1;
        change(&mut pending);
        if pending.len() > LIMIT || pending.tags() * usize::from(self.partitions) > STEPS_LIMIT {
            pending.replace_by_everything();
        }
        self.counted(&pending);
        self.added.notify_one();
    }

    /// Removes the names of `retried` of which nothing is left after these steps, and returns them. Names that were added
    /// again since remain.
    pub(crate) fn carried_out(&self, retried: &PendingSet, steps: &[Step]) -> (Vec<Key>, Vec<Tag>) {
        let mut pending = self.lock();
        let completed = pending.carried_out(retried, steps, self.partitions);
        self.counted(&pending);
        self.progressed.notify_waiters();
        completed
    }

    /// Removes a request for a purge that has been carried out, unless there is a later one. Names that were added since the
    /// request remain: the purge may have emptied their partitions before.
    pub(crate) fn purged(&self, request: u64) {
        let mut pending = self.lock();
        pending.purged(request);
        self.counted(&pending);
        self.progressed.notify_waiters();
    }

    fn counted(&self, pending: &PendingSet) {
        self.changes.fetch_add(1, SeqCst);
        self.count.store(pending.len(), SeqCst);
        self.gauge.set(pending.len() as f64);
    }

    fn lock(&self) -> MutexGuard<'_, PendingSet> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
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

    /// Returns whether a purge of the keyspace is pending.
    pub(crate) fn has_purge(&self) -> bool {
        self.lock().everything().is_some()
    }

    pub(crate) fn snapshot(&self) -> PendingSet {
        self.lock().clone()
    }

    pub(crate) async fn wait_until_empty(&self) {
        self.wait_until(|pending| pending.len() == 0).await;
    }

    /// Waits until the invalidations of these names that are pending now are carried out, and all purges. Later
    /// invalidations of the same names may still be pending then.
    pub(crate) async fn wait_for(&self, keys: impl IntoIterator<Item = Key>, tags: impl IntoIterator<Item = Tag>) {
        let awaited = self.lock().await_names(keys, tags);
        self.wait_until(|pending| pending.has_reached(&awaited)).await;
    }

    async fn wait_until(&self, is_reached: impl Fn(&PendingSet) -> bool) {
        loop {
            // Before the set is examined: it receives every notification from here on.
            let progressed = self.progressed.notified();
            if is_reached(&self.lock()) {
                return;
            }
            progressed.await;
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.count.load(SeqCst)
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
            let pending = PendingInvalidations::new("test", 1);
            let key = Keyspace::new("test").unwrap().key("a", 1);
            pending.add([key.clone()], [Tag::new("t", 1)]);
            let first = pending.snapshot();
            pending.add([key.clone()], []);
            pending.carried_out(&first, &first.steps(1));
            assert_eq!(pending.len(), 1, "the second invalidation of the key remains, and the tag is done");
            let second = pending.snapshot();
            pending.carried_out(&second, &second.steps(1));
            assert_eq!(pending.len(), 0);
        });
    }

    #[test]
    fn tag_is_done_when_each_partition_has_carried_it_out_once() {
        in_any_order(|| {
            let (pending, tag) = (PendingInvalidations::new("test", 2), Tag::new("t", 1));
            let carry_out = |partition| {
                let retried = pending.snapshot();
                pending.carried_out(&retried, &[Step::Tags(partition, vec![tag.clone()])])
            };
            pending.add([], [tag.clone()]);
            let awaited = pending.lock().await_names([], [tag.clone()]);
            assert_eq!(carry_out(1), (vec![], vec![]));
            assert_eq!(pending.snapshot().steps(2), [Step::Tags(0, vec![tag.clone()])], "partition 0 is left");
            pending.add([], [tag.clone()]);
            assert_eq!(pending.snapshot().steps(2).len(), 2, "a later invalidation is for both");
            assert!(!pending.lock().has_reached(&awaited));
            carry_out(0);
            assert!(
                pending.lock().has_reached(&awaited),
                "the earlier one is done, in either partition at its own time"
            );
            assert_eq!(pending.len(), 1, "the later one is left in partition 1");
            assert_eq!(carry_out(1), (vec![], vec![tag.clone()]));
            assert_eq!(pending.len(), 0);

            pending.add([], [tag.clone()]);
            assert!(pending.lock().has_reached(&awaited), "it was done before it was added once more");
        });
    }

    #[test]
    fn purge_does_not_complete_what_was_added_while_it_ran() {
        in_any_order(|| {
            let pending = PendingInvalidations::new("test", 1);
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
            let pending = PendingInvalidations::new("test", 1);
            pending.add((0..=LIMIT).map(|id| Keyspace::new("test").unwrap().key("a", id)), []);
            assert!(pending.has_purge());
            let in_many_partitions = PendingInvalidations::new("test", 4_000);
            in_many_partitions.add([], (0..250).map(|id| Tag::new("t", id)));
            assert!(!in_many_partitions.has_purge());
            in_many_partitions.add([], [Tag::new("t", 250)]);
            assert!(in_many_partitions.has_purge());
        });
    }
}
