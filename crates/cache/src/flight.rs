//! Single-flight: readers of one process that miss the same entry share one load, without ever sharing an old one.
//!
//! The usual single-flight hands a late joiner a value that was read before the joiner began; if an invalidation
//! was acknowledged in between, that is a stale read. Here every read that a flight makes (of Redis or of the
//! database) begins with a new *phase*, and a joiner remembers the phase in which it came:
//!
//! ```text
//!   phase 0        | phase 1: ACQUIRE      | phase 2: load            | COMMIT sent
//!   join: phase 0  |  join: phase 1        |  join: phase 2           | nobody can join
//! ```
//!
//! The value that was read in phase `n` is good for who joined before it (phase < `n`). Who joined during the load
//! may take it only if the commit succeeded, because the commit proves that nothing invalidated the entry up to a
//! moment after the join. A flight leaves the table before COMMIT is sent: a reader that began after an
//! acknowledged invalidation, while the commit's reply is still on its way, must not find it.
//!
//! One load of a key is under way at a time, also where flights leave the table before it (`turns.rs`).
//!
//! A reader whose flights keep being too old for it joins a flight *beside* the cache: it is closed before its load begins, so
//! all its readers may take the value that it loads.

use std::collections::HashMap;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, PoisonError};

use tokio::sync::watch;

use crate::sync::{AtomicU32, Mutex};
use crate::{FetchError, Fetched, Key};

mod steps;
mod turns;

pub(crate) use steps::{Asked, World, fly};
pub(crate) use turns::Turn;
use turns::Turns;

/// The flights under way in this process.
#[derive(Debug, Default)]
pub(crate) struct Flights {
    table: Table,
    /// Flights that do not use the cache; a flight of the same key in `table` may be under way.
    beside: Table,
    turns: Turns,
}

type Table = Mutex<HashMap<Key, Arc<Flight>>>;

/// One load that several readers wait for.
#[derive(Debug)]
pub(crate) struct Flight {
    key: Key,
    phase: AtomicU32,
    landed: watch::Sender<Option<Landed>>,
}

/// What a flight brings home.
#[derive(Clone, Debug)]
pub(crate) struct Landed {
    pub(crate) result: Result<Fetched, FetchError>,
    /// The phase in which the value was read.
    pub(crate) phase: u32,
    /// Whether a commit proved that nothing invalidated the value up to then.
    pub(crate) committed: bool,
}

/// A reader's place on a flight.
pub(crate) enum Boarding {
    /// The flight is new, and this reader has to see to it that it is flown.
    First(Arc<Flight>, Seat),
    /// Somebody else flies it.
    Joined(Seat),
}

/// Waits for the flight to land, and knows when its holder boarded.
pub(crate) struct Seat {
    boarded: u32,
    landed: watch::Receiver<Option<Landed>>,
}

impl Flights {
    /// Joins the flight for `key`, or opens one.
    pub(crate) fn board(&self, key: &Key) -> Boarding {
        Self::board_in(&self.table, key)
    }

    /// The same, for flights that go past the cache.
    pub(crate) fn board_beside(&self, key: &Key) -> Boarding {
        Self::board_in(&self.beside, key)
    }

    /// Waits until no other load of `key` is under way.
    pub(crate) async fn turn(&self, key: &Key) -> Turn {
        self.turns.take(key).await
    }

    fn board_in(table: &Table, key: &Key) -> Boarding {
        let mut table = table.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(flight) = table.get(key) {
            return Boarding::Joined(flight.seat());
        }
        let flight = Arc::new(Flight { key: key.clone(), phase: AtomicU32::new(0), landed: watch::Sender::new(None) });
        table.insert(key.clone(), Arc::clone(&flight));
        let seat = flight.seat();
        Boarding::First(flight, seat)
    }

    /// Nobody can join `flight` any more. Called before COMMIT is sent, and before a load that stores nothing.
    pub(crate) fn close(&self, flight: &Arc<Flight>) {
        for table in [&self.table, &self.beside] {
            let mut table = table.lock().unwrap_or_else(PoisonError::into_inner);
            if table.get(&flight.key).is_some_and(|other| Arc::ptr_eq(other, flight)) {
                table.remove(&flight.key);
            }
        }
    }
}

impl Flight {
    fn seat(&self) -> Seat {
        Seat { boarded: self.phase.load(SeqCst), landed: self.landed.subscribe() }
    }

    pub(crate) fn key(&self) -> &Key {
        &self.key
    }

    /// Begins the next phase and returns its number. To be called *before* the read of that phase is sent.
    pub(crate) fn next_phase(&self) -> u32 {
        self.phase.fetch_add(1, SeqCst) + 1
    }

    /// Hands the result to everybody on board.
    pub(crate) fn land(&self, landed: Landed) {
        self.landed.send_replace(Some(landed));
    }
}

impl Seat {
    /// What the flight brought; `None` when it ended without landing (its task panicked or was shut down).
    pub(crate) async fn landed(mut self) -> Option<(Landed, u32)> {
        let landed = self.landed.wait_for(Option::is_some).await.ok()?.clone()?;
        Some((landed, self.boarded))
    }
}

impl Landed {
    /// Whether a reader that boarded in `boarded` may take this result.
    pub(crate) fn good_for(&self, boarded: u32) -> bool {
        boarded < self.phase || (self.committed && boarded == self.phase) || self.is_timeout()
    }

    /// That a load took too long says nothing about the value, so it cannot be outdated; and who came during the load need
    /// not wait for another one.
    fn is_timeout(&self) -> bool {
        matches!(self.result, Err(FetchError::TimedOut(_)))
    }
}

#[cfg(test)]
mod orders;

#[cfg(test)]
mod tests {
    use shuttle::future::block_on;

    use super::*;
    use crate::sync::in_any_order;
    use crate::{Fill, Keyspace, Loaded, Outcome};

    fn landed(phase: u32, committed: bool) -> Landed {
        let fetched = Fetched::from_load(&Loaded::found("x"), Outcome::Miss(Fill::Stored));
        Landed { result: Ok(fetched), phase, committed }
    }

    #[test]
    fn a_joiner_takes_what_was_read_after_it_came_or_what_a_commit_vouches_for() {
        //         boarded, phase of the read, committed → may take
        for (boarded, phase, committed, good) in [
            (0, 1, false, true),
            (1, 2, false, true),
            (1, 1, false, false), // the classic stale join: the load had begun
            (2, 2, true, true),
            (2, 1, true, false), // after the phase of the read: only a flight that left the table late allows it
        ] {
            assert_eq!(landed(phase, committed).good_for(boarded), good, "{boarded} {phase} {committed}");
        }
    }

    #[test]
    fn a_closed_flight_is_not_joined_and_a_later_one_survives_its_closing() {
        in_any_order(|| {
            let flights = Flights::default();
            let key = Keyspace::new("test").unwrap().key("a", 1);
            let Boarding::First(first, _seat) = flights.board(&key) else { panic!("the first to board flies") };
            assert!(matches!(flights.board(&key), Boarding::Joined(_)));
            flights.close(&first);
            let Boarding::First(second, seat) = flights.board(&key) else { panic!("a closed flight was joined") };
            flights.close(&first);
            assert!(matches!(flights.board(&key), Boarding::Joined(_)), "closing the first removed the second");
            second.land(landed(1, true));
            assert!(block_on(seat.landed()).is_some());
        });
    }

    #[test]
    fn a_flight_that_never_lands_leaves_nobody_waiting() {
        in_any_order(|| {
            let flights = Flights::default();
            let key = Keyspace::new("test").unwrap().key("a", 1);
            let Boarding::First(flight, seat) = flights.board(&key) else { panic!("the first to board flies") };
            flights.close(&flight);
            drop(flight);
            assert!(block_on(seat.landed()).is_none());
        });
    }
}
