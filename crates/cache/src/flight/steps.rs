//! The steps of one flight, in the order on which its promise hangs.
//!
//! What Redis, the database and the bulkhead do is said by a [`LoadIo`]: that of a lane (`miss.rs`), or a small one in which a
//! test chooses the order of everybody's steps (`orders.rs`).

use std::future::Future;
use std::sync::Arc;

use super::{InFlight, LoadResult, SingleFlight};
use crate::entry::StoredEntry;
use crate::pending::PendingInvalidations;
use crate::{Bypass, Cached, Fill, GetError, Key, NewEntry, Outcome};

/// Where a flight flies: one for each.
pub(crate) trait LoadIo: Sync {
    /// The right to load and to store.
    type Grant: Clone + Send;
    /// The key's turn, and a place among the loads that may run at once; both are free again when dropped.
    type Permit: Send;

    fn single_flight(&self) -> &SingleFlight;
    fn pending(&self) -> &PendingInvalidations;
    fn now_ms(&self) -> u64;
    /// Waits until no other load of `key` is under way, then for a place; `None` when none became free in time.
    fn acquire_permit(&self, key: &Key) -> impl Future<Output = Option<Self::Permit>> + Send;
    /// Asks for the lease, once.
    fn acquire(&self, key: &Key) -> impl Future<Output = LeaseReply<Self::Grant>> + Send;
    /// Waits a moment for somebody else's lease; `false` when that has been long enough.
    fn pause(&self) -> impl Future<Output = bool> + Send;
    /// Reads the database, for less time than a lease lasts.
    fn load(&self) -> impl Future<Output = Result<NewEntry, GetError>> + Send;
    fn commit(&self, key: &Key, grant: Self::Grant, loaded: NewEntry) -> impl Future<Output = Cached> + Send;
    fn release(&self, key: &Key, grant: Self::Grant) -> impl Future<Output = ()> + Send;
}

/// What came of asking for the lease.
pub(crate) enum LeaseReply<Grant> {
    Granted(Grant),
    /// Somebody else has it.
    Taken,
    /// Somebody else has stored the value meanwhile.
    Found(StoredEntry),
    /// What was there is gone now.
    Retry,
    /// Redis did not answer.
    Unavailable,
}

/// What came of asking for it until there was an answer.
enum Lease<Io: LoadIo> {
    /// The right to load and to store, with a place in the bulkhead.
    Granted(Io::Grant, Io::Permit),
    /// … and the phase in which it was read.
    Found(StoredEntry, u32),
    /// Load, but store nothing.
    Denied(Bypass),
    /// Too many loads are under way.
    Overloaded,
}

/// Flies, and returns what everybody on board is to be given. `bypass` says why the cache is not to be used, if it is not.
pub(crate) async fn run_load<Io: LoadIo>(io: &Io, flight: &Arc<InFlight>, bypass: Option<Bypass>) -> LoadResult {
    let lease = match bypass {
        None => lease(io, flight).await,
        Some(why) => Lease::Denied(why),
    };
    match lease {
        Lease::Granted(grant, permit) => load_and_commit(io, flight, grant, permit).await,
        Lease::Denied(why) => load_without_storing(io, flight, why).await,
        Lease::Overloaded => overloaded(flight),
        Lease::Found(entry, phase) => {
            let now = io.now_ms();
            // What was softly invalidated since it was loaded is no less stale because this reader came upon it here.
            let outcome = if entry.is_fresh(now) { Outcome::Collapsed } else { Outcome::Stale };
            let cached = Cached::from_stored(&entry, now, outcome);
            LoadResult { result: Ok(cached), phase, committed: false }
        }
    }
}

/// Asks for the lease until it is granted, the value is there, or the patience ends.
///
/// The place in the bulkhead comes first: a lease that runs out in a queue helps nobody.
async fn lease<Io: LoadIo>(io: &Io, flight: &InFlight) -> Lease<Io> {
    loop {
        let Some(permit) = io.acquire_permit(flight.key()).await else { return Lease::Overloaded };
        let epoch = io.pending().epoch();
        let phase = flight.next_phase();
        match io.acquire(flight.key()).await {
            LeaseReply::Granted(grant) => return Lease::Granted(grant, permit),
            LeaseReply::Found(entry) if io.pending().is_suspect(epoch, flight.key(), &entry) => {
                return Lease::Denied(Bypass::InvalidationPending);
            }
            LeaseReply::Found(entry) => return Lease::Found(entry, phase),
            LeaseReply::Taken => {
                drop(permit);
                if !io.pause().await {
                    return Lease::Denied(Bypass::LeaseHeld);
                }
            }
            LeaseReply::Retry => {}
            LeaseReply::Unavailable => return Lease::Denied(Bypass::RedisDown),
        }
    }
}

async fn load_and_commit<Io: LoadIo>(
    io: &Io,
    flight: &Arc<InFlight>,
    grant: Io::Grant,
    permit: Io::Permit,
) -> LoadResult {
    let (key, single_flight, pending) = (flight.key(), io.single_flight(), io.pending());
    let epoch = pending.epoch();
    let phase = flight.next_phase();
    let loaded = io.load().await;
    drop(permit);
    let loaded = match loaded {
        Ok(loaded) => loaded,
        Err(error) => {
            io.release(key, grant).await;
            return LoadResult { result: Err(error), phase, committed: false };
        }
    };
    // Before COMMIT is sent, not after its reply: see flight.rs.
    single_flight.close(flight);
    let cached = io.commit(key, grant.clone(), loaded).await;
    if matches!(cached.outcome, Outcome::Miss(Fill::Failed | Fill::Declined)) {
        io.release(key, grant).await;
    }
    // While an invalidation is waiting for Redis, what Redis accepts proves nothing to this process.
    let committed = cached.outcome == Outcome::Miss(Fill::Stored) && pending.unchanged_since(epoch);
    LoadResult { result: Ok(cached), phase, committed }
}

async fn load_without_storing<Io: LoadIo>(io: &Io, flight: &Arc<InFlight>, why: Bypass) -> LoadResult {
    let Some(_place) = io.acquire_permit(flight.key()).await else { return overloaded(flight) };
    // No commit will vouch for joiners, so those who come from now on gather on a flight of their own.
    io.single_flight().close(flight);
    let phase = flight.next_phase();
    let loaded = io.load().await;
    let result = loaded.map(|loaded| Cached::from_new_entry(&loaded, Outcome::Bypass(why)));
    LoadResult { result, phase, committed: false }
}

fn overloaded(flight: &InFlight) -> LoadResult {
    LoadResult { result: Err(GetError::Overloaded), phase: flight.next_phase(), committed: false }
}
