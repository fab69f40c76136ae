//! Loads in flight under many thousand interleavings, chosen by shuttle: no reader takes a value that was outdated when
//! the reader began. Without any one part of the rule, some reader does.
//!
//! The loads run the code of `single_flight.rs`, `bulkhead.rs` and `pending.rs`. The rest is a small [`LoadIo`]: Redis is a lock,
//! and each script is one critical section. Not covered: `load.rs` and `Region::lookup`, which [`Shop::read`]
//! follows, and tags. `make model` explores the protocol completely, and covers those.

use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::time::Duration;

use shuttle::future::{block_on, yield_now};
use shuttle::sync::Mutex;
use shuttle::sync::atomic::{AtomicU64, Ordering::SeqCst};
use shuttle::thread;

use super::{InFlight, Join, LoadIo, SingleFlight, run_load};
use crate::bulkhead::{KeyLock, KeyLocks};
use crate::entry::CachedEntry;
use crate::error::LoadError;
use crate::keyspace::{Key, Keyspace};
use crate::lease::LeaseReply;
use crate::loader::{Content, NewEntry};
use crate::outcome::{Bypass, Fill, FillRefusal, Outcome};
use crate::pending::PendingInvalidations;
use crate::pending::orders::entry;

/// Interleavings that a test tries.
const ORDERS: usize = 10_000;

/// Interleavings until a broken rule shows, at most. Usually it shows sooner; the test must not depend on chance.
const ORDERS_UNTIL_BROKEN: usize = 50 * ORDERS;

/// How a test differs from the protocol, or from normal operation.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Case {
    Whole,
    /// Some loads time out; their leases may have expired by then.
    TimedOut,
    /// Redis does not answer, so nothing is stored; the invalidation is deferred.
    Away,
    /// The invalidation is deferred, and carried out later.
    Deferred,
    /// Broken: a reader takes the value of its load in any phase.
    NoPhases,
    /// Broken: readers can join a load until its COMMIT has been answered.
    ClosedLate,
    /// Broken, and deferred: a commit makes the value valid for joiners although an invalidation is pending.
    PendingIgnored,
    /// Broken, and Redis does not answer: loads of a key do not wait for each other.
    NoKeyLocks,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stored {
    Nothing,
    Lease(u64),
    Value(u64),
}

struct Shop {
    case: Case,
    key: Key,
    single_flight: SingleFlight,
    key_locks: KeyLocks,
    pending: PendingInvalidations,
    redis: Mutex<Stored>,
    row: AtomicU64,
    /// The oldest version that a reader may return.
    floor: AtomicU64,
    leases: AtomicU64,
    loading: AtomicU64,
}

/// One load in flight of the shop.
struct MissContext {
    shop: Arc<Shop>,
    in_flight: Arc<InFlight>,
    pauses: AtomicU32,
    /// Never has a pending invalidation.
    quiet: PendingInvalidations,
}

impl LoadIo for MissContext {
    type Grant = u64;
    type Permit = Option<KeyLock>;

    fn pending(&self) -> &PendingInvalidations {
        if self.shop.case == Case::PendingIgnored { &self.quiet } else { &self.shop.pending }
    }

    fn now_ms(&self) -> u64 {
        0
    }

    async fn acquire_permit(&self, key: &Key) -> Option<Option<KeyLock>> {
        match self.shop.case {
            Case::NoKeyLocks => Some(None),
            _ => Some(Some(self.shop.key_locks.take(key).await)),
        }
    }

    async fn acquire(&self, _key: &Key) -> LeaseReply<u64> {
        if self.shop.is_away() {
            return LeaseReply::Unavailable;
        }
        let mut redis = self.shop.redis.lock().unwrap();
        match *redis {
            Stored::Value(version) => LeaseReply::Found(entry(version)),
            Stored::Lease(_) => LeaseReply::Taken,
            Stored::Nothing => {
                let id = self.shop.leases.fetch_add(1, SeqCst);
                *redis = Stored::Lease(id);
                LeaseReply::Granted(id)
            }
        }
    }

    async fn pause(&self) -> bool {
        yield_now().await;
        self.pauses.fetch_add(1, SeqCst) < 2
    }

    async fn load(&self, _permit: Option<KeyLock>) -> Result<Content, LoadError> {
        assert_eq!(self.shop.loading.fetch_add(1, SeqCst), 0, "two loads of a key at once");
        let version = self.shop.row.load(SeqCst);
        yield_now().await;
        self.shop.loading.fetch_sub(1, SeqCst);
        if self.shop.case == Case::TimedOut && self.shop.leases.load(SeqCst) == 1 {
            *self.shop.redis.lock().unwrap() = Stored::Nothing;
            return Err(LoadError::TimedOut(Duration::ZERO));
        }
        Ok(NewEntry::<()>::raw("x").version(version).into_content().unwrap())
    }

    async fn commit(&self, key: &Key, grant: u64, loaded: Content) -> CachedEntry {
        let table = &self.shop.single_flight.table;
        if self.shop.case == Case::ClosedLate {
            table.lock().unwrap().insert(key.clone(), Arc::clone(&self.in_flight));
        }
        let fill = self.store(grant, &loaded);
        yield_now().await;
        if self.shop.case == Case::ClosedLate {
            table.lock().unwrap().remove(key);
        }
        CachedEntry::from_loaded(&loaded, Outcome::Miss(fill))
    }

    async fn release(&self, _key: &Key, grant: u64) {
        let mut redis = self.shop.redis.lock().unwrap();
        if *redis == Stored::Lease(grant) {
            *redis = Stored::Nothing;
        }
    }
}

impl MissContext {
    fn store(&self, grant: u64, loaded: &Content) -> Fill {
        let mut redis = self.shop.redis.lock().unwrap();
        if *redis != Stored::Lease(grant) {
            return Fill::Refused(FillRefusal::LeaseLost);
        }
        *redis = Stored::Value(loaded.version.unwrap());
        Fill::Stored
    }
}

impl Shop {
    /// Returns whether Redis does not answer.
    fn is_away(&self) -> bool {
        matches!(self.case, Case::Away | Case::NoKeyLocks)
    }

    fn read(self: &Arc<Self>) {
        let floor = self.floor.load(SeqCst);
        for attempt in 0..3 {
            let epoch = self.pending.epoch();
            let found = *self.redis.lock().unwrap();
            let mut bypass = self.is_away().then_some(Bypass::RedisDown);
            if let Stored::Value(version) = found {
                if !self.pending.is_suspect(epoch, &self.key, &entry(version)) {
                    return assert!(version >= floor, "a stale hit");
                }
                bypass = Some(Bypass::InvalidationPending);
            }
            let is_last = attempt == 2;
            let join = match is_last {
                true => self.single_flight.join_bypass(&self.key),
                false => self.single_flight.join(&self.key),
            };
            if is_last {
                bypass = Some(Bypass::Contended);
            }
            let ticket = match join {
                Join::Follower(ticket) => ticket,
                Join::Leader(flight, ticket) => {
                    let quiet = PendingInvalidations::new("quiet", 1);
                    let (shop, in_flight) = (Arc::clone(self), Arc::clone(&flight.in_flight));
                    let context = MissContext { shop, in_flight, pauses: AtomicU32::new(0), quiet };
                    thread::spawn(move || block_on(run_load(&context, flight, bypass)));
                    ticket
                }
            };
            let (result, joined_in) = block_on(ticket.result()).expect("loads end with a result");
            assert!(!is_last || result.valid_for(joined_in), "a reader joined a load that bypasses the cache too late");
            if self.case == Case::NoPhases || result.valid_for(joined_in) {
                let Ok(cached) = result.result else { return };
                return assert!(cached.version.unwrap() >= floor, "a stale value of a shared load");
            }
        }
    }

    fn write(&self) {
        self.row.store(2, SeqCst);
        if self.is_away() {
            self.pending.add([self.key.clone()], []);
            self.floor.store(2, SeqCst);
        } else if matches!(self.case, Case::Deferred | Case::PendingIgnored) {
            self.pending.add([self.key.clone()], []);
            self.floor.store(2, SeqCst);
            self.pending.retry(|| *self.redis.lock().unwrap() = Stored::Nothing);
        } else {
            *self.redis.lock().unwrap() = Stored::Nothing;
            self.floor.store(2, SeqCst);
        }
    }
}

fn in_many_orders(case: Case) {
    let is_broken = matches!(case, Case::NoPhases | Case::ClosedLate | Case::PendingIgnored | Case::NoKeyLocks);
    let orders = if is_broken { ORDERS_UNTIL_BROKEN } else { ORDERS };
    // Probabilistic concurrency testing (Burckhardt et al., ASPLOS 2010): a few changes of priority find such races
    // fastest.
    shuttle::check_pct(
        move || {
            let shop = Arc::new(Shop {
                case,
                key: Keyspace::new("test").unwrap().key("a", 1),
                single_flight: SingleFlight::default(),
                key_locks: KeyLocks::default(),
                pending: PendingInvalidations::new("test", 1),
                redis: Mutex::new(Stored::Nothing),
                row: AtomicU64::new(1),
                floor: AtomicU64::new(1),
                leases: AtomicU64::new(0),
                loading: AtomicU64::new(0),
            });
            let mut threads: Vec<_> = (0..3)
                .map(|_| {
                    let shop = Arc::clone(&shop);
                    thread::spawn(move || shop.read())
                })
                .collect();
            let writing = Arc::clone(&shop);
            threads.push(thread::spawn(move || writing.write()));
            for thread in threads {
                thread.join().unwrap();
            }
        },
        orders,
        3,
    );
}

#[test]
fn no_reader_takes_a_value_outdated_before_it_joined() {
    in_many_orders(Case::Whole);
}

#[test]
fn no_reader_takes_an_outdated_value_when_loads_time_out() {
    in_many_orders(Case::TimedOut);
}

#[test]
fn loads_of_a_key_are_serial_and_current_while_redis_is_down() {
    in_many_orders(Case::Away);
}

#[test]
#[should_panic(expected = "two loads of a key at once")]
fn loads_overlap_without_key_locks_while_redis_is_down() {
    in_many_orders(Case::NoKeyLocks);
}

#[test]
fn no_reader_takes_a_value_with_a_pending_invalidation() {
    in_many_orders(Case::Deferred);
}

#[test]
#[should_panic(expected = "a stale value of a shared load")]
fn reader_takes_a_stale_value_without_phases() {
    in_many_orders(Case::NoPhases);
}

#[test]
#[should_panic(expected = "a stale value of a shared load")]
fn reader_that_joins_during_the_commit_takes_a_stale_value() {
    in_many_orders(Case::ClosedLate);
}

#[test]
#[should_panic(expected = "a stale value of a shared load")]
fn reader_takes_a_stale_value_if_pending_invalidations_are_ignored() {
    in_many_orders(Case::PendingIgnored);
}
