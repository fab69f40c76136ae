//! Single-flight: readers of one process that miss the same entry share one load, and never receive a value that is too
//! old.
//!
//! Ordinary single-flight gives a late joiner a value that was read before the joiner began. If an invalidation was
//! acknowledged in between, that is a stale read. Here, every read of a load in flight (of Redis or of the database)
//! begins with a new *phase*, and a joiner remembers the phase in which it joined:
//!
//! ```text
//!   phase 0        | phase 1: ACQUIRE      | phase 2: load            | COMMIT sent
//!   join: phase 0  |  join: phase 1        |  join: phase 2           | no reader can join
//! ```
//!
//! A value that was read in phase `n` is valid for readers that joined before phase `n`. A reader that joined during
//! the load may take it only if the commit succeeded, because the commit proves that nothing invalidated the entry
//! until after the reader joined. A load in flight leaves the table before COMMIT is sent: a reader that begins after
//! an acknowledged invalidation, while the reply to the commit is still on its way, must not find it.
//!
//! A process runs one load of a key at a time, also when loads leave the table before they begin (`key_locks.rs`).
//!
//! A reader for which several values were too old joins a load that *bypasses* the cache. Such a load is closed before
//! it begins, so its value is valid for all its readers.

use std::collections::HashMap;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, PoisonError};

use tokio::sync::watch;

use crate::sync::{AtomicU32, Mutex};
use crate::{Cached, GetError, Key};

mod key_locks;
mod steps;

pub(crate) use key_locks::KeyLock;
use key_locks::KeyLocks;
pub(crate) use steps::{LeaseReply, LoadIo, run_load};

/// The loads in flight of this process.
#[derive(Debug, Default)]
pub(crate) struct SingleFlight {
    table: Table,
    /// Loads that bypass the cache; a load of the same key in `table` may be in flight as well.
    bypassing: Table,
    key_locks: KeyLocks,
}

type Table = Mutex<HashMap<Key, Arc<InFlight>>>;

/// One load that several readers wait for.
#[derive(Debug)]
pub(crate) struct InFlight {
    key: Key,
    phase: AtomicU32,
    result: watch::Sender<Option<LoadResult>>,
}

/// The result of a load in flight.
#[derive(Clone, Debug)]
pub(crate) struct LoadResult {
    pub(crate) result: Result<Cached, GetError>,
    /// The phase in which the value was read.
    pub(crate) phase: u32,
    /// Whether a commit proved that nothing invalidated the value until then.
    pub(crate) committed: bool,
}

/// How a reader joined a load.
pub(crate) enum Join {
    /// The load is new, and this reader must start it.
    Leader(Arc<InFlight>, Ticket),
    /// Another reader started the load.
    Follower(Ticket),
}

/// Waits for the result of a load, and knows the phase in which its reader joined.
pub(crate) struct Ticket {
    joined_in: u32,
    result: watch::Receiver<Option<LoadResult>>,
}

impl SingleFlight {
    /// Joins the load of `key`, or creates one.
    pub(crate) fn join(&self, key: &Key) -> Join {
        Self::join_in(&self.table, key)
    }

    /// Joins the load of `key` that bypasses the cache, or creates one.
    pub(crate) fn join_bypass(&self, key: &Key) -> Join {
        Self::join_in(&self.bypassing, key)
    }

    /// Waits until no other load of `key` is in flight, then locks the key.
    pub(crate) async fn lock_key(&self, key: &Key) -> KeyLock {
        self.key_locks.take(key).await
    }

    fn join_in(table: &Table, key: &Key) -> Join {
        let mut table = table.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(flight) = table.get(key) {
            return Join::Follower(flight.ticket());
        }
        let flight =
            Arc::new(InFlight { key: key.clone(), phase: AtomicU32::new(0), result: watch::Sender::new(None) });
        table.insert(key.clone(), Arc::clone(&flight));
        let ticket = flight.ticket();
        Join::Leader(flight, ticket)
    }

    /// Closes `flight`, so that no reader can join it any more. Called before COMMIT is sent, and before a load that
    /// stores nothing.
    pub(crate) fn close(&self, flight: &Arc<InFlight>) {
        for table in [&self.table, &self.bypassing] {
            let mut table = table.lock().unwrap_or_else(PoisonError::into_inner);
            if table.get(&flight.key).is_some_and(|other| Arc::ptr_eq(other, flight)) {
                table.remove(&flight.key);
            }
        }
    }
}

impl InFlight {
    fn ticket(&self) -> Ticket {
        Ticket { joined_in: self.phase.load(SeqCst), result: self.result.subscribe() }
    }

    pub(crate) fn key(&self) -> &Key {
        &self.key
    }

    /// Begins the next phase and returns its number. Call it *before* the read of that phase is sent.
    pub(crate) fn next_phase(&self) -> u32 {
        self.phase.fetch_add(1, SeqCst) + 1
    }

    /// Hands the result to all readers that joined.
    pub(crate) fn complete(&self, result: LoadResult) {
        self.result.send_replace(Some(result));
    }
}

impl Ticket {
    /// Waits for the result; `None` when the load ended without one (its task panicked or was shut down).
    pub(crate) async fn result(mut self) -> Option<(LoadResult, u32)> {
        let result = self.result.wait_for(Option::is_some).await.ok()?.clone()?;
        Some((result, self.joined_in))
    }
}

impl LoadResult {
    /// Returns whether a reader that joined in `joined_in` may take this result.
    pub(crate) fn valid_for(&self, joined_in: u32) -> bool {
        joined_in < self.phase || (self.committed && joined_in == self.phase) || self.is_timeout()
    }

    /// A timeout says nothing about the value, so it cannot be outdated. Readers that joined during the load receive it
    /// as well, and need not wait for another load.
    fn is_timeout(&self) -> bool {
        matches!(self.result, Err(GetError::TimedOut(_)))
    }
}

#[cfg(test)]
mod orders;

#[cfg(test)]
mod tests {
    use shuttle::future::block_on;

    use super::*;
    use crate::sync::in_any_order;
    use crate::{Fill, Keyspace, NewEntry, Outcome};

    fn result(phase: u32, committed: bool) -> LoadResult {
        let cached = Cached::from_new_entry(&NewEntry::value("x"), Outcome::Miss(Fill::Stored));
        LoadResult { result: Ok(cached), phase, committed }
    }

    #[test]
    fn joiner_takes_only_values_read_later_or_proved_by_a_commit() {
        // joined in, phase of the read, committed → may take
        for (joined_in, phase, committed, good) in [
            (0, 1, false, true),
            (1, 2, false, true),
            (1, 1, false, false), // the stale join of ordinary single-flight: the load had begun
            (2, 2, true, true),
            (2, 1, true, false), // after the phase of the read: only a load that leaves the table late allows it
        ] {
            assert_eq!(result(phase, committed).valid_for(joined_in), good, "{joined_in} {phase} {committed}");
        }
    }

    #[test]
    fn closed_load_is_not_joined_and_closing_it_keeps_a_later_load() {
        in_any_order(|| {
            let single_flight = SingleFlight::default();
            let key = Keyspace::new("test").unwrap().key("a", 1);
            let Join::Leader(first, _seat) = single_flight.join(&key) else { panic!("the first to board flies") };
            assert!(matches!(single_flight.join(&key), Join::Follower(_)));
            single_flight.close(&first);
            let Join::Leader(second, ticket) = single_flight.join(&key) else { panic!("a closed flight was joined") };
            single_flight.close(&first);
            assert!(matches!(single_flight.join(&key), Join::Follower(_)), "closing the first removed the second");
            second.complete(result(1, true));
            assert!(block_on(ticket.result()).is_some());
        });
    }

    #[test]
    fn load_without_a_result_leaves_no_reader_waiting() {
        in_any_order(|| {
            let single_flight = SingleFlight::default();
            let key = Keyspace::new("test").unwrap().key("a", 1);
            let Join::Leader(flight, ticket) = single_flight.join(&key) else { panic!("the first to board flies") };
            single_flight.close(&flight);
            drop(flight);
            assert!(block_on(ticket.result()).is_none());
        });
    }
}
