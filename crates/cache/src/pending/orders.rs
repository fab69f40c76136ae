//! Reads concurrent with a deferred invalidation and its retry, under many thousand interleavings: no read trusts an
//! entry that the invalidation names.

use std::sync::Arc;

use shuttle::sync::Mutex;
use shuttle::sync::atomic::{AtomicU64, Ordering::SeqCst};
use shuttle::thread;

use super::PendingInvalidations;
use crate::entry::{StoredEntry, StoredValue};
use crate::keyspace::{Key, Keyspace};

const ORDERS: usize = 10_000;

/// When a read takes the epoch.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mark {
    BeforeTheRead,
    /// Broken: the read misses a retry that completed in between.
    AfterTheRead,
}

struct Shop {
    key: Key,
    pending: PendingInvalidations,
    /// The version that Redis stores under the key.
    redis: Mutex<Option<u64>>,
    row: AtomicU64,
    /// The oldest version that a reader may return.
    floor: AtomicU64,
}

impl Shop {
    fn read(&self, epoch: Mark) {
        let floor = self.floor.load(SeqCst);
        let before = self.pending.epoch();
        let Some(version) = *self.redis.lock().unwrap() else { return };
        let epoch = if epoch == Mark::BeforeTheRead { before } else { self.pending.epoch() };
        if !self.pending.is_suspect(epoch, &self.key, &entry(version)) {
            assert!(version >= floor, "a stale hit");
        }
    }

    /// Writes twice, and defers the invalidation of each write. A retry may run in between.
    fn write(&self) {
        for version in [2, 3] {
            self.row.store(version, SeqCst);
            self.pending.add([self.key.clone()], []);
            self.floor.store(version, SeqCst);
        }
    }

    fn retry(&self) {
        for _ in 0..2 {
            self.pending.retry(|| *self.redis.lock().unwrap() = None);
            // A client stores the current version.
            let version = self.row.load(SeqCst);
            if self.pending.len() == 0 {
                *self.redis.lock().unwrap() = Some(version);
            }
        }
    }
}

impl PendingInvalidations {
    /// Does what `retry.rs` does with one partition and one chunk of steps.
    pub(crate) fn retry(&self, remove: impl FnOnce()) {
        let retried = self.snapshot();
        remove();
        self.carried_out(&retried, &retried.steps(1));
    }
}

/// Returns a value of this version, as stored in Redis.
pub(crate) fn entry(version: u64) -> StoredEntry {
    match StoredValue::parse(format!("V{:032x} at=0 soft=1 hard=1 ver={version} sum=- absent=0 tags=\nx", 7).into()) {
        StoredValue::Value(entry) => entry,
        StoredValue::Lease | StoredValue::Unreadable => panic!("it is a value"),
    }
}

fn in_many_orders(epoch: Mark) {
    shuttle::check_pct(
        move || {
            let shop = Arc::new(Shop {
                key: Keyspace::new("test").unwrap().key("a", 1),
                pending: PendingInvalidations::new("test", 1),
                redis: Mutex::new(Some(1)),
                row: AtomicU64::new(1),
                floor: AtomicU64::new(1),
            });
            let steps: [fn(&Shop, Mark); 4] = [Shop::read, Shop::read, |shop, _| shop.write(), |shop, _| shop.retry()];
            let threads = steps.map(|step| {
                let shop = Arc::clone(&shop);
                thread::spawn(move || step(&shop, epoch))
            });
            for thread in threads {
                thread.join().unwrap();
            }
        },
        ORDERS,
        3,
    );
}

#[test]
fn no_read_trusts_an_entry_with_a_pending_invalidation() {
    in_many_orders(Mark::BeforeTheRead);
}

#[test]
#[should_panic(expected = "a stale hit")]
fn read_that_takes_the_epoch_too_late_trusts_a_stale_entry() {
    in_many_orders(Mark::AfterTheRead);
}
