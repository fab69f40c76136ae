//! The near cache: entries in the memory of this process, so that a hit needs no command.
//!
//! ```text
//! read ──▶ memory ──▶ Redis (tracked connection) ──▶ database
//!             ▲
//!             │ valid while: slot counter unchanged, epoch unchanged, lease not over
//! Redis ── push: "key changed" ──▶ slot counter + 1
//!       ── barrier: every earlier push has been applied ──▶ lease until (begin of the barrier + bound)
//! ```
//!
//! Redis tracks what a connection reads, and pushes the name of a key when it changes. A push may be late or lost. So a
//! process may return an entry from its memory only while it holds a *lease* (Gray and Cheriton, SOSP 1989), and only a
//! *barrier* renews the lease: the process writes to a key of its own, and the push of this write comes back over the
//! same connection, after all earlier pushes. A stalled, frozen or disconnected process loses its lease by itself.
//!
//! [`Near::Bounded`] promises no more than that. With [`Near::Strict`], the process also registers each barrier in
//! Redis, and an invalidation waits until every registered process has completed a barrier that began after the
//! invalidation, or has lost its lease. So no stale read follows the acknowledgement, as without a near cache.
//!
//! `validity.rs` decides whether an entry may be returned; `front.rs` has the copies that each thread looks up first;
//! `redis/tracking` has the connection and the barriers; `near_cache.rs` waits for the other processes.

mod front;
mod validity;

use std::sync::Arc;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::time::Duration;

use bytes::Bytes;
use quick_cache::Weighter;
use quick_cache::sync::Cache as Entries;

use validity::slot;
pub(crate) use validity::{Snapshot, Validity, clock_ns};

use crate::entry::StoredEntry;
use crate::keyspace::Key;
use crate::policy::Near;

/// Returns the bound plus a margin, for a bound that two clocks measure: the clocks may run at different rates.
pub(crate) fn with_margin(bound: Duration) -> Duration {
    bound + (bound / 10).max(Duration::from_millis(2))
}

/// The number of the next memory.
static NEXT: AtomicU64 = AtomicU64::new(0);

/// The entries of one client in the memory of the process, for all of its caches that have a near cache.
#[derive(Debug)]
pub(crate) struct NearMemory {
    /// Distinguishes its entries from those of other memories in the front of a thread.
    number: u64,
    pub(crate) validity: Validity,
    entries: Entries<Bytes, Held, ByWeight>,
    /// The shortest bound of any cache, in nanoseconds: the length of a lease. `u64::MAX` if no cache uses the memory.
    bound_ns: AtomicU64,
    /// Whether any cache is strict, so that this process registers.
    is_strict: AtomicBool,
}

#[derive(Clone, Debug)]
struct Held {
    entry: StoredEntry,
    snapshot: Snapshot,
}

#[derive(Clone, Debug)]
struct ByWeight;

impl Weighter<Bytes, Held> for ByWeight {
    fn weight(&self, key: &Bytes, held: &Held) -> u64 {
        // An estimate of what the map itself needs for an entry.
        const OVERHEAD: u64 = 160;
        key.len() as u64 + held.entry.len() as u64 + OVERHEAD
    }
}

impl NearMemory {
    /// Creates a memory that holds at most `weight` bytes.
    pub(crate) fn new(weight: u64) -> Arc<Self> {
        // The usual size of an entry decides only how large the map is at first.
        let entries = Entries::with_weighter((weight / 1_024).max(16) as usize, weight, ByWeight);
        let (bound_ns, is_strict) = (AtomicU64::new(u64::MAX), AtomicBool::new(false));
        let number = NEXT.fetch_add(1, Relaxed);
        Arc::new(Self { number, validity: Validity::new(), entries, bound_ns, is_strict })
    }

    /// Takes a cache that will use this memory into account.
    pub(crate) fn serve(&self, near: Near) {
        if let Near::Strict(_) = near {
            // Set before the bound, so that the first barrier that may grant a lease also registers this process.
            self.is_strict.store(true, SeqCst);
        }
        if let Some(bound) = near.bound() {
            self.bound_ns.fetch_min(bound.as_nanos() as u64, SeqCst);
            // A longer lease may have been granted for the caches so far.
            self.validity.end_lease();
        }
    }

    /// Returns the length of a lease, or `None` if no cache needs one.
    pub(crate) fn bound(&self) -> Option<Duration> {
        let nanos = self.bound_ns.load(SeqCst);
        (nanos != u64::MAX).then(|| Duration::from_nanos(nanos))
    }

    pub(crate) fn is_strict(&self) -> bool {
        self.is_strict.load(SeqCst)
    }

    /// Returns the entry if it may be returned now. Takes no lock if this thread has returned it before.
    pub(crate) fn get(&self, key: &Key, pending_epoch: u64) -> Option<StoredEntry> {
        let (slot, is_valid) = (slot(key.name()), |snapshot| self.validity.is_valid(snapshot, pending_epoch));
        if let Some(entry) = front::get((self.number, slot), key.name(), is_valid) {
            return Some(entry);
        }
        let held = self.entries.get(key.name()).filter(|held| is_valid(held.snapshot))?;
        front::keep((self.number, slot), key.name(), &held);
        Some(held.entry)
    }

    /// Returns an entry of the memory, and whether it may be returned now. Does not count as a use of the entry.
    pub(crate) fn peek(&self, key: &Key, pending_epoch: u64) -> Option<(StoredEntry, bool)> {
        let held = self.entries.peek(key.name())?;
        let is_servable = self.validity.is_valid(held.snapshot, pending_epoch);
        Some((held.entry, is_servable))
    }

    /// Returns the entry unless it is known to have changed, although pushes may have been lost.
    pub(crate) fn get_unverified(&self, key: &Key) -> Option<StoredEntry> {
        self.entries.get(key.name()).filter(|held| self.validity.is_unchanged(held.snapshot)).map(|held| held.entry)
    }

    /// Returns the snapshot for an entry that is read from now on: the state that must be unchanged when the entry is
    /// used.
    pub(crate) fn snapshot(&self, key: &Key, pending_epoch: u64) -> Snapshot {
        self.validity.snapshot(key.name(), pending_epoch)
    }

    /// Stores an entry that was read over the tracked connection after `snapshot` was taken.
    pub(crate) fn insert(&self, key: &Key, entry: &StoredEntry, snapshot: Snapshot) {
        self.entries.insert(key.bytes(), Held { entry: entry.clone(), snapshot });
    }

    /// Drops entries of this process that are about to be invalidated, or have just been.
    pub(crate) fn drop_keys<'a>(&self, keys: impl IntoIterator<Item = &'a Key>) {
        keys.into_iter().for_each(|key| self.validity.record_change(key.name()));
    }

    /// Returns the weight of all entries, in bytes.
    pub(crate) fn weight(&self) -> u64 {
        self.entries.weight()
    }
}
