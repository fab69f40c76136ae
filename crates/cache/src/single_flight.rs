//! Single-flight: readers of one process that miss the same entry share one load, and never receive a value that is too
//! old.
//!
//! Ordinary single-flight gives a late joiner a value that was read before the joiner began. If an invalidation was
//! acknowledged in between, that is a stale read. Here, every read of a load in flight (of Redis or of the database)
//! begins with a new *phase*, and a joiner remembers the phase in which it joined:
//!
//! ```text
//!   phase 0        | phase 1: acquire.lua  | phase 2: load            | commit.lua sent
//!   join: phase 0  |  join: phase 1        |  join: phase 2           | no reader can join
//! ```
//!
//! A value that was read in phase `n` is valid for readers that joined before phase `n`. A reader that joined during
//! the load may take it only if the commit succeeded, because the commit proves that nothing invalidated the entry
//! until after the reader joined. A load in flight leaves the table before `commit.lua` is sent: a reader that begins
//! after an acknowledged invalidation, while the reply to the script is still on its way, must not find it.
//!
//! A process runs one load of a key at a time, also when loads leave the table before they begin (`bulkhead.rs`).
//!
//! A reader for which several values were too old joins a load that *bypasses* the cache. Such a load is closed before
//! it begins, so its value is valid for all its readers.
//!
//! A [`LoadIo`] stands for Redis, the database and the bulkhead: that of a cache (`load.rs`), or a small one in which a
//! test chooses the order of all steps (`orders.rs`).

use std::collections::HashMap;
use std::future::Future;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, PoisonError};

use tokio::sync::watch;

use crate::entry::CachedEntry;
use crate::error::LoadError;
use crate::keyspace::Key;
use crate::lease::LeaseReply;
use crate::loader::Content;
use crate::outcome::{Bypass, Fill, Outcome};
use crate::pending::PendingInvalidations;
use crate::sync::{AtomicU32, Mutex};

/// The loads in flight of this process.
#[derive(Debug, Default)]
pub(crate) struct SingleFlight {
    table: Arc<Table>,
    /// Loads that bypass the cache; a load of the same key in `table` may be in flight as well.
    bypassing: Arc<Table>,
}

type Table = Mutex<HashMap<Key, Arc<InFlight>>>;

/// One load that several readers wait for.
#[derive(Debug)]
struct InFlight {
    phase: AtomicU32,
    result: watch::Sender<Option<LoadResult>>,
}

/// A load in flight, owned by the task that runs it. Until it is closed, readers can join it. If it is dropped
/// without a result (its task panicked or was shut down), its readers wait no longer.
#[derive(Debug)]
pub(crate) struct LoadOwner {
    key: Key,
    in_flight: Arc<InFlight>,
    /// The table that readers join it in; `None` once it is closed.
    table: Option<Arc<Table>>,
}

#[derive(Clone, Debug)]
pub(crate) struct LoadResult {
    pub(crate) result: Result<CachedEntry, LoadError>,
    /// The phase in which the value was read.
    phase: u32,
    /// Whether a commit proved that nothing invalidated the value until then.
    committed: bool,
}

/// How a reader joined a load.
pub(crate) enum Join {
    /// The load is new, and this reader must start it.
    Leader(LoadOwner, Ticket),
    /// Another reader started the load.
    Follower(Ticket),
}

/// Waits for the result of a load, and knows the phase in which its reader joined.
pub(crate) struct Ticket {
    joined_in: u32,
    result: watch::Receiver<Option<LoadResult>>,
}

/// The environment of one load in flight.
pub(crate) trait LoadIo: Sync {
    /// The right to load and to store.
    type Grant: Clone + Send;
    /// The lock of the key and a permit of the bulkhead; both are released when dropped.
    type Permit: Send;

    fn pending(&self) -> &PendingInvalidations;
    fn now_ms(&self) -> u64;
    /// Waits until no other load of `key` is in flight, then for a permit; `None` when none became free in time.
    fn acquire_permit(&self, key: &Key) -> impl Future<Output = Option<Self::Permit>> + Send;
    /// Tries to acquire the lease, once.
    fn acquire(&self, key: &Key) -> impl Future<Output = LeaseReply<Self::Grant>> + Send;
    /// Waits a moment for another client's lease; `false` when the wait is over.
    fn pause(&self) -> impl Future<Output = bool> + Send;
    /// Reads the database, for less time than a lease lasts.
    fn load(&self, permit: Self::Permit) -> impl Future<Output = Result<Content, LoadError>> + Send;
    fn commit(&self, key: &Key, grant: Self::Grant, loaded: Content) -> impl Future<Output = CachedEntry> + Send;
    fn release(&self, key: &Key, grant: Self::Grant) -> impl Future<Output = ()> + Send;
}

/// Runs the load, and hands its result to all readers that joined. `bypass` is the reason not to use the cache, if any.
pub(crate) async fn run_load<Io: LoadIo>(io: &Io, mut flight: LoadOwner, bypass: Option<Bypass>) {
    let result = steps(io, &mut flight, bypass).await;
    flight.complete(result);
}

/// The steps of a load, in the order on which the promise of single-flight depends.
async fn steps<Io: LoadIo>(io: &Io, flight: &mut LoadOwner, mut bypass: Option<Bypass>) -> LoadResult {
    let key = flight.key.clone();
    // The permit of the bulkhead comes first: a lease that expires while its holder queues for a permit is useless.
    let (permit, grant) = loop {
        let Some(permit) = io.acquire_permit(&key).await else {
            return LoadResult { result: Err(LoadError::Overloaded), phase: flight.next_phase(), committed: false };
        };
        if let Some(why) = bypass {
            break (permit, Err(why));
        }
        let epoch = io.pending().epoch();
        let phase = flight.next_phase();
        match io.acquire(&key).await {
            LeaseReply::Granted(grant) => break (permit, Ok(grant)),
            LeaseReply::Found(entry) if io.pending().is_suspect(epoch, &key, &entry) => {
                bypass = Some(Bypass::InvalidationPending);
            }
            LeaseReply::Found(entry) => {
                let now = io.now_ms();
                // An entry that was expired since its load is just as stale when this reader finds it here.
                let outcome = if entry.is_fresh(now) { Outcome::Collapsed } else { entry.stale_outcome(now) };
                let cached = CachedEntry::from_stored(entry, now, outcome);
                return LoadResult { result: Ok(cached), phase, committed: false };
            }
            LeaseReply::Taken => {
                drop(permit);
                if !io.pause().await {
                    bypass = Some(Bypass::LeaseHeld);
                }
            }
            LeaseReply::Retry => {}
            LeaseReply::Failed => bypass = Some(Bypass::LeaseHeld),
            LeaseReply::Unavailable => bypass = Some(Bypass::RedisDown),
        }
    };
    if grant.is_err() {
        // No commit will prove the value valid for later joiners, so readers that arrive from now on join another load.
        flight.close();
    }
    let epoch = io.pending().epoch();
    let phase = flight.next_phase();
    let loaded = io.load(permit).await;
    let (result, committed) = match (loaded, grant) {
        (Ok(loaded), Ok(grant)) => {
            // Before `commit.lua` is sent, not after its reply: a reader that begins in between must not find this one.
            flight.close();
            let cached = io.commit(&key, grant.clone(), loaded).await;
            if matches!(cached.outcome, Outcome::Miss(Fill::Failed | Fill::Declined | Fill::TooLarge)) {
                io.release(&key, grant).await;
            }
            // While an invalidation is pending, a commit that Redis accepts proves nothing to this process.
            let committed = cached.outcome == Outcome::Miss(Fill::Stored) && io.pending().unchanged_since(epoch);
            (Ok(cached), committed)
        }
        (Ok(loaded), Err(why)) => (Ok(CachedEntry::from_loaded(&loaded, Outcome::Bypass(why))), false),
        (Err(error), grant) => {
            if let Ok(grant) = grant {
                io.release(&key, grant).await;
            }
            (Err(error), false)
        }
    };
    LoadResult { result, phase, committed }
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

    fn join_in(table: &Arc<Table>, key: &Key) -> Join {
        let mut loads = table.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(in_flight) = loads.get(key) {
            return Join::Follower(in_flight.ticket());
        }
        let in_flight = Arc::new(InFlight { phase: AtomicU32::new(0), result: watch::Sender::new(None) });
        loads.insert(key.clone(), Arc::clone(&in_flight));
        let ticket = in_flight.ticket();
        Join::Leader(LoadOwner { key: key.clone(), in_flight, table: Some(Arc::clone(table)) }, ticket)
    }
}

impl InFlight {
    fn ticket(&self) -> Ticket {
        Ticket { joined_in: self.phase.load(SeqCst), result: self.result.subscribe() }
    }
}

impl LoadOwner {
    /// Begins the next phase and returns its number. Call it *before* the read of that phase is sent.
    fn next_phase(&self) -> u32 {
        self.in_flight.phase.fetch_add(1, SeqCst) + 1
    }

    /// Closes the load, so that no reader can join it any more.
    fn close(&mut self) {
        let Some(table) = self.table.take() else { return };
        table.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.key);
    }

    /// Hands the result to all readers that joined.
    fn complete(mut self, result: LoadResult) {
        self.close();
        self.in_flight.result.send_replace(Some(result));
    }
}

impl Drop for LoadOwner {
    /// However its task ends, even if it never ran.
    fn drop(&mut self) {
        self.close();
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

    /// Returns whether the value was read from the database after a reader joined in `joined_in`.
    pub(crate) fn was_loaded_after(&self, joined_in: u32) -> bool {
        let is_loaded = |cached: &CachedEntry| matches!(cached.outcome, Outcome::Miss(_) | Outcome::Bypass(_));
        joined_in < self.phase && self.result.as_ref().is_ok_and(is_loaded)
    }

    /// A timeout says nothing about the value, so it cannot be outdated. Readers that joined during the load receive it
    /// as well, and need not wait for another load.
    fn is_timeout(&self) -> bool {
        matches!(self.result, Err(LoadError::TimedOut(_)))
    }
}

#[cfg(test)]
mod orders;

#[cfg(test)]
mod tests {
    use shuttle::future::block_on;

    use super::*;
    use crate::keyspace::Keyspace;
    use crate::loader::NewEntry;
    use crate::sync::in_any_order;

    fn result(phase: u32, committed: bool) -> LoadResult {
        let cached =
            CachedEntry::from_loaded(&NewEntry::<()>::raw("x").into_content().unwrap(), Outcome::Miss(Fill::Stored));
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
            let Join::Leader(mut first, _ticket) = single_flight.join(&key) else { panic!("the first reader leads") };
            assert!(matches!(single_flight.join(&key), Join::Follower(_)));
            first.close();
            let Join::Leader(second, ticket) = single_flight.join(&key) else { panic!("a closed load was joined") };
            drop(first);
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
            let Join::Leader(flight, ticket) = single_flight.join(&key) else { panic!("the first reader leads") };
            drop(flight);
            assert!(matches!(single_flight.join(&key), Join::Leader(..)), "an aborted load was joined");
            assert!(block_on(ticket.result()).is_none());
        });
    }
}
