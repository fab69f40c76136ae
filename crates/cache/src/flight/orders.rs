//! Single-flight in many thousand orders of its steps, chosen by shuttle: nobody takes a value that was read before they
//! came and had been outdated by then. And with either half of the rule taken out, somebody does.
//!
//! Redis is a lock here, and each script one critical section. `make model` explores the same protocol completely; this is
//! the code itself.

use std::sync::Arc;

use shuttle::sync::Mutex;
use shuttle::sync::atomic::{AtomicU64, Ordering::SeqCst};
use shuttle::{future, thread};

use super::{Boarding, Flight, Flights, Landed};
use crate::{Fetched, Fill, Key, Keyspace, Loaded, Outcome};

/// Orders that are tried.
const ORDERS: usize = 20_000;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Rule {
    Whole,
    /// A reader takes whatever its flight brings.
    NoPhases,
    /// A flight can be joined until its COMMIT has been answered.
    ClosedLate,
}

#[derive(Default)]
struct Redis {
    lease: Option<usize>,
    value: Option<u64>,
}

struct World {
    rule: Rule,
    key: Key,
    flights: Flights,
    redis: Mutex<Redis>,
    row: AtomicU64,
    acknowledged: AtomicU64,
}

fn landed(version: u64, phase: u32, committed: bool) -> Landed {
    let loaded = Loaded::found("x").version(version);
    Landed { result: Ok(Fetched::from_load(&loaded, Outcome::Miss(Fill::Stored))), phase, committed }
}

impl World {
    fn read(self: &Arc<Self>, who: usize) {
        let floor = self.acknowledged.load(SeqCst);
        for _ in 0..3 {
            if let Some(version) = self.redis.lock().unwrap().value {
                return assert!(version >= floor, "a stale hit");
            }
            let seat = match self.flights.board(&self.key) {
                Boarding::Joined(seat) => seat,
                Boarding::First(flight, seat) => {
                    let world = Arc::clone(self);
                    thread::spawn(move || world.fly(&flight, who));
                    seat
                }
            };
            let (landed, boarded) = future::block_on(seat.landed()).expect("flights land");
            if self.rule == Rule::NoPhases || landed.good_for(boarded) {
                let version = landed.result.unwrap().version().unwrap();
                return assert!(version >= floor, "a stale value of a flight");
            }
        }
    }

    fn fly(&self, flight: &Arc<Flight>, who: usize) {
        let phase = flight.next_phase();
        let found = {
            let mut redis = self.redis.lock().unwrap();
            if redis.value.is_none() {
                redis.lease = Some(who);
            }
            redis.value
        };
        let landing = match found {
            Some(version) => landed(version, phase, false),
            None => {
                let phase = flight.next_phase();
                let version = self.row.load(SeqCst);
                if self.rule != Rule::ClosedLate {
                    self.flights.close(flight);
                }
                let stored = {
                    let mut redis = self.redis.lock().unwrap();
                    let stored = redis.lease == Some(who);
                    if stored {
                        *redis = Redis { lease: None, value: Some(version) };
                    }
                    stored
                };
                landed(version, phase, stored)
            }
        };
        self.flights.close(flight);
        flight.land(landing);
    }

    fn write(&self) {
        self.row.store(2, SeqCst);
        *self.redis.lock().unwrap() = Redis::default();
        self.acknowledged.store(2, SeqCst);
    }
}

fn in_many_orders(rule: Rule) {
    // Probabilistic concurrency testing (Burckhardt et al., ASPLOS 2010): a few changes of priority find such races soonest.
    shuttle::check_pct(
        move || {
            let world = Arc::new(World {
                rule,
                key: Keyspace::new("test").unwrap().key("a", 1),
                flights: Flights::default(),
                redis: Mutex::default(),
                row: AtomicU64::new(1),
                acknowledged: AtomicU64::new(1),
            });
            let mut threads: Vec<_> = (0..3)
                .map(|who| {
                    let world = Arc::clone(&world);
                    thread::spawn(move || world.read(who))
                })
                .collect();
            let writing = Arc::clone(&world);
            threads.push(thread::spawn(move || writing.write()));
            for thread in threads {
                thread.join().unwrap();
            }
        },
        ORDERS,
        3,
    );
}

#[test]
fn nobody_takes_what_was_outdated_when_they_came() {
    in_many_orders(Rule::Whole);
}

#[test]
#[should_panic(expected = "a stale value of a flight")]
fn without_phases_somebody_does() {
    in_many_orders(Rule::NoPhases);
}

#[test]
#[should_panic(expected = "a stale value of a flight")]
fn so_does_who_joins_while_the_commit_is_being_answered() {
    in_many_orders(Rule::ClosedLate);
}
