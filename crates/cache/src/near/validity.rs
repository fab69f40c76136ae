//! Whether an entry from the memory of the process may be returned at this moment.
//!
//! A push only increments a counter, so it costs the same for an entry that this process holds and for one that it does
//! not. Two keys may share a counter; then a change of one also invalidates the other.

use std::sync::atomic::Ordering::SeqCst;

use rustix::time::{ClockId, clock_gettime};

use crate::keyspace::fnv1a;
use crate::sync::AtomicU64;

/// The number of counters: a power of two. They take half a megabyte. The tests of interleavings create them for each
/// interleaving, so they use fewer.
const SLOTS: usize = if cfg!(test) { 1 << 6 } else { 1 << 16 };

#[derive(Debug)]
pub(crate) struct Validity {
    /// How often a key of each slot has changed.
    counters: Box<[AtomicU64]>,
    /// Grows when pushes may have been lost: then nothing that was read before is valid.
    epoch: AtomicU64,
    /// The epoch in which this process last removed entries whose keys it does not know. The pushes of an earlier epoch
    /// may have left them out.
    removed_in: AtomicU64,
    /// How often it has removed such entries without a proof that their pushes have arrived.
    unproved: AtomicU64,
    /// The end of the lease by [`clock_ns`]; 0 without a lease.
    lease_until: AtomicU64,
}

/// The state of the counters before an entry was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Snapshot {
    slot: u16,
    count: u64,
    epoch: u64,
    unproved: u64,
    /// The epoch of the pending invalidations.
    pending_epoch: u64,
}

/// Returns nanoseconds on a clock that also counts the time for which the machine was suspended.
///
/// A suspended virtual machine may not count it at all; then a lease may be used for too long after the resume.
pub(crate) fn clock_ns() -> u64 {
    let now = clock_gettime(ClockId::Boottime);
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

impl Validity {
    pub(crate) fn new() -> Self {
        let counters = (0..SLOTS).map(|_| AtomicU64::new(0)).collect();
        let [epoch, removed_in, unproved, lease_until] = [(); 4].map(|()| AtomicU64::new(0));
        Self { counters, epoch, removed_in, unproved, lease_until }
    }

    /// Returns what [`is_valid`](Self::is_valid) compares. Take the snapshot before the read is sent.
    pub(crate) fn snapshot(&self, key: &[u8], pending_epoch: u64) -> Snapshot {
        let slot = slot(key);
        let count = self.counters[usize::from(slot)].load(SeqCst);
        Snapshot { slot, count, epoch: self.epoch.load(SeqCst), unproved: self.unproved.load(SeqCst), pending_epoch }
    }

    /// Returns whether an entry with this snapshot may be returned now.
    pub(crate) fn is_valid(&self, snapshot: Snapshot, pending_epoch: u64) -> bool {
        self.is_valid_at(clock_ns(), snapshot, pending_epoch)
    }

    /// Reads the lease first. A barrier renews the lease only after the counters of all earlier pushes are incremented,
    /// so a reader that sees the renewed lease also sees these counters.
    fn is_valid_at(&self, now: u64, snapshot: Snapshot, pending_epoch: u64) -> bool {
        now < self.lease_until.load(SeqCst)
            && self.epoch.load(SeqCst) == snapshot.epoch
            && self.counters[usize::from(snapshot.slot)].load(SeqCst) == snapshot.count
            && pending_epoch == snapshot.pending_epoch
    }

    /// Returns whether the entry is not known to have changed: no push has named a key of its slot, and this process has since
    /// removed nothing of which a push may be lost.
    pub(crate) fn is_unchanged(&self, snapshot: Snapshot) -> bool {
        self.counters[usize::from(snapshot.slot)].load(SeqCst) == snapshot.count
            && self.removed_in.load(SeqCst) <= snapshot.epoch
            && self.unproved.load(SeqCst) == snapshot.unproved
    }

    /// Records that this process has removed entries whose keys it does not know. `is_proved` says that the pushes of all of
    /// them have arrived, if the connection has not ended since the entries were read.
    pub(crate) fn record_removal(&self, is_proved: bool) {
        match is_proved {
            true => self.removed_in.fetch_max(self.epoch.load(SeqCst), SeqCst),
            false => self.unproved.fetch_add(1, SeqCst),
        };
    }

    /// Records that a key has changed.
    pub(crate) fn record_change(&self, key: &[u8]) {
        self.counters[usize::from(slot(key))].fetch_add(1, SeqCst);
    }

    /// Records that any key may have changed.
    pub(crate) fn record_change_of_everything(&self) {
        self.epoch.fetch_add(1, SeqCst);
    }

    /// Renews the lease, after a barrier was verified.
    pub(crate) fn renew_lease(&self, until: u64) {
        self.lease_until.store(until, SeqCst);
    }

    pub(crate) fn has_lease(&self) -> bool {
        clock_ns() < self.lease_until.load(SeqCst)
    }

    pub(crate) fn end_lease(&self) {
        self.lease_until.store(0, SeqCst);
    }
}

pub(super) fn slot(key: &[u8]) -> u16 {
    (fnv1a(key) % SLOTS as u64) as u16
}

#[cfg(test)]
mod orders;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sync::in_any_order;

    #[test]
    fn entry_is_valid_only_while_nothing_has_changed() {
        in_any_order(|| {
            let validity = Validity::new();
            let snapshot = validity.snapshot(b"shop:item:1", 7);
            assert!(!validity.is_valid_at(5, snapshot, 7), "without a lease");
            validity.renew_lease(10);
            assert!(validity.is_valid_at(9, snapshot, 7));
            assert!(!validity.is_valid_at(10, snapshot, 7), "the lease is over");
            assert!(!validity.is_valid_at(9, snapshot, 8), "an invalidation was deferred");
            validity.record_change(b"shop:item:2");
            assert!(validity.is_valid_at(9, snapshot, 7), "another key has changed");
            validity.record_change(b"shop:item:1");
            assert!(!validity.is_valid_at(9, snapshot, 7));
            let snapshot = validity.snapshot(b"shop:item:1", 7);
            assert!(validity.is_valid_at(9, snapshot, 7));
            validity.record_change_of_everything();
            assert!(!validity.is_valid_at(9, snapshot, 7));
        });
    }

    #[test]
    fn entry_is_unchanged_unless_the_pushes_of_a_removal_may_be_lost() {
        in_any_order(|| {
            let validity = Validity::new();
            let snapshot = validity.snapshot(b"shop:item:1", 7);
            validity.record_removal(true);
            assert!(validity.is_unchanged(snapshot), "no push has named it");
            validity.record_change_of_everything();
            assert!(validity.is_unchanged(snapshot), "nothing was removed since the connection broke");
            validity.record_removal(true);
            assert!(!validity.is_unchanged(snapshot));
            let snapshot = validity.snapshot(b"shop:item:1", 7);
            assert!(validity.is_unchanged(snapshot));
            validity.renew_lease(10);
            validity.record_removal(false);
            assert!(!validity.is_unchanged(snapshot));
            assert!(validity.is_valid_at(9, snapshot, 7), "while the connection lives, the lease vouches for it");
        });
    }
}
