//! Reads from memory under many thousand interleavings with a write, its push, barriers, a lost push and the end of a
//! lease: no read that begins after the acknowledgement returns the old value.
//!
//! The writer acknowledges as `near_cache.rs` does: when a barrier that began after the write is complete, or when the
//! lease is over.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

use shuttle::sync::Mutex;
use shuttle::sync::atomic::{AtomicBool, AtomicU64};
use shuttle::thread;

use super::Validity;

const ORDERS: usize = 10_000;
const KEY: &[u8] = b"shop:item:1";
/// The length of a lease, on the clock of the test.
const BOUND: u64 = 2;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Case {
    Whole,
    SnapshotAfterTheReply,
    NoCounter,
    NoLease,
    NoEpoch,
    /// The process reports a barrier that began before the request.
    EarlyReport,
}

/// What Redis sends over the tracked connection, in this order.
#[derive(Clone, Copy)]
enum Sent {
    Push,
    /// The push of a barrier: when the barrier began, and whether that was after the write.
    Barrier(u64, bool),
    /// The connection was replaced: pushes before it may be lost.
    Reconnected,
}

struct World {
    case: Case,
    validity: Validity,
    clock: AtomicU64,
    redis: Mutex<Redis>,
    reported: AtomicBool,
    acknowledged: AtomicU64,
}

struct Redis {
    version: u64,
    line: VecDeque<Sent>,
}

impl World {
    fn is_valid(&self, snapshot: super::Snapshot) -> bool {
        let now = if self.case == Case::NoLease { 0 } else { self.clock.load(SeqCst) };
        let snapshot = match self.case {
            Case::NoCounter => super::Snapshot { count: self.validity.snapshot(KEY, 0).count, ..snapshot },
            Case::NoEpoch => super::Snapshot { epoch: self.validity.snapshot(KEY, 0).epoch, ..snapshot },
            _ => snapshot,
        };
        self.validity.is_valid_at(now, snapshot, 0)
    }

    /// Fills the memory, and reads from it three times.
    fn read(&self) {
        let mut snapshot = self.validity.snapshot(KEY, 0);
        let version = self.redis.lock().unwrap().version;
        if self.case == Case::SnapshotAfterTheReply {
            snapshot = self.validity.snapshot(KEY, 0);
        }
        for _ in 0..3 {
            let floor = self.acknowledged.load(SeqCst);
            if self.is_valid(snapshot) {
                assert!(version >= floor, "a stale read");
            }
        }
    }

    /// Writes, and waits until no process may return the old value. If `is_lost`, the connection breaks, and the push
    /// is lost.
    fn write(&self, is_lost: bool) {
        {
            let mut redis = self.redis.lock().unwrap();
            redis.version = 2;
            redis.line.push_back(if is_lost { Sent::Reconnected } else { Sent::Push });
        }
        let began = self.clock.load(SeqCst);
        self.redis.lock().unwrap().line.push_back(Sent::Barrier(began, true));
        for _ in 0..6 {
            if self.reported.load(SeqCst) || self.clock.load(SeqCst) >= began + BOUND {
                return self.acknowledged.store(2, SeqCst);
            }
            thread::yield_now();
        }
    }

    /// Applies what Redis has sent, as the task of the connection does.
    fn apply(&self) {
        for _ in 0..5 {
            let sent = self.redis.lock().unwrap().line.pop_front();
            match sent {
                Some(Sent::Push) => self.validity.record_change(KEY),
                Some(Sent::Reconnected) => {
                    self.validity.end_lease();
                    self.validity.record_change_of_everything();
                }
                Some(Sent::Barrier(began, is_after)) => {
                    self.validity.renew_lease(began + BOUND);
                    if is_after || self.case == Case::EarlyReport {
                        self.reported.store(true, SeqCst);
                    }
                }
                None => thread::yield_now(),
            }
        }
    }
}

fn in_many_orders(case: Case, is_lost: bool) {
    // A process that freezes is a thread that does not run for a long time. A random schedule has such threads more
    // often than the few, chosen thread changes of `check_pct`.
    shuttle::check_random(
        move || {
            let redis = Mutex::new(Redis { version: 1, line: VecDeque::from([Sent::Barrier(0, false)]) });
            let (validity, reported) = (Validity::new(), AtomicBool::new(false));
            let (clock, acknowledged) = (AtomicU64::new(0), AtomicU64::new(1));
            let world = Arc::new(World { case, validity, clock, redis, reported, acknowledged });
            world.validity.renew_lease(BOUND);
            let parts: [fn(&World, bool); 5] = [
                |world, _| world.read(),
                |world, _| world.read(),
                |world, is_lost| world.write(is_lost),
                |world, _| world.apply(),
                |world, _| (0..BOUND + 1).for_each(|_| world.clock.store(world.clock.load(SeqCst) + 1, SeqCst)),
            ];
            let threads = parts.map(|part| {
                let world = Arc::clone(&world);
                thread::spawn(move || part(&world, is_lost))
            });
            for thread in threads {
                thread.join().unwrap();
            }
        },
        ORDERS,
    );
}

#[test]
fn no_read_from_memory_is_older_than_an_acknowledged_write() {
    for is_lost in [false, true] {
        in_many_orders(Case::Whole, is_lost);
    }
}

#[test]
#[should_panic(expected = "a stale read")]
fn snapshot_that_is_taken_after_the_reply_makes_a_stale_read() {
    in_many_orders(Case::SnapshotAfterTheReply, false);
}

#[test]
#[should_panic(expected = "a stale read")]
fn entry_without_a_counter_is_read_stale() {
    in_many_orders(Case::NoCounter, false);
}

#[test]
#[should_panic(expected = "a stale read")]
fn entry_without_a_lease_is_read_stale() {
    in_many_orders(Case::NoLease, false);
}

#[test]
#[should_panic(expected = "a stale read")]
fn entry_without_an_epoch_is_read_stale_after_a_reconnect() {
    in_many_orders(Case::NoEpoch, true);
}

#[test]
#[should_panic(expected = "a stale read")]
fn report_of_an_earlier_barrier_makes_a_stale_read() {
    in_many_orders(Case::EarlyReport, false);
}
