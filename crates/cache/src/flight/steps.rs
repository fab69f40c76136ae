//! The steps of a load in flight, in the order on which the promise of single-flight depends.
//!
//! A [`LoadIo`] stands for Redis, the database and the bulkhead: that of a cache (`miss.rs`), or a small one in which a
//! test chooses the order of all steps (`orders.rs`).

use std::future::Future;
use std::sync::Arc;

use super::{InFlight, LoadResult, SingleFlight};
use crate::entry::StoredEntry;
use crate::pending::PendingInvalidations;
use crate::{Bypass, Cached, Fill, GetError, Key, NewEntry, Outcome};

/// The environment of one load in flight.
pub(crate) trait LoadIo: Sync {
    /// The right to load and to store.
    type Grant: Clone + Send;
    /// The key lock and a permit of the bulkhead; both are released when dropped.
    type Permit: Send;

    fn single_flight(&self) -> &SingleFlight;
    fn pending(&self) -> &PendingInvalidations;
    fn now_ms(&self) -> u64;
    /// Waits until no other load of `key` is in flight, then for a permit; `None` when none became free in time.
    fn acquire_permit(&self, key: &Key) -> impl Future<Output = Option<Self::Permit>> + Send;
    /// Tries to acquire the lease, once.
    fn acquire(&self, key: &Key) -> impl Future<Output = LeaseReply<Self::Grant>> + Send;
    /// Waits a moment for another client's lease; `false` when the wait is over.
    fn pause(&self) -> impl Future<Output = bool> + Send;
    /// Reads the database, for less time than a lease lasts.
    fn load(&self) -> impl Future<Output = Result<NewEntry, GetError>> + Send;
    fn commit(&self, key: &Key, grant: Self::Grant, loaded: NewEntry) -> impl Future<Output = Cached> + Send;
    fn release(&self, key: &Key, grant: Self::Grant) -> impl Future<Output = ()> + Send;
}

/// The reply to one attempt to acquire the lease.
pub(crate) enum LeaseReply<Grant> {
    Granted(Grant),
    /// Another client holds it.
    Taken,
    /// Another client has stored the value in the meantime.
    Found(StoredEntry),
    /// The entry that was there has been removed.
    Retry,
    /// Redis did not answer.
    Unavailable,
}

/// The result of all attempts to acquire the lease.
enum Lease<Io: LoadIo> {
    /// The right to load and to store, with a permit of the bulkhead.
    Granted(Io::Grant, Io::Permit),
    /// The stored value, and the phase in which it was read.
    Found(StoredEntry, u32),
    /// Load, but store nothing.
    Denied(Bypass),
    /// Too many loads are in flight.
    Overloaded,
}

/// Runs the load, and returns the result for all readers that joined. `bypass` is the reason not to use the cache, if
/// any.
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
            // An entry that was expired since its load is just as stale when this reader finds it here.
            let outcome = if entry.is_fresh(now) { Outcome::Collapsed } else { Outcome::Stale };
            let cached = Cached::from_stored(&entry, now, outcome);
            LoadResult { result: Ok(cached), phase, committed: false }
        }
    }
}

/// Tries to acquire the lease until it is granted, the value is there, or the wait ends.
///
/// The permit of the bulkhead comes first: a lease that expires while its holder queues for a permit is useless.
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
    // While an invalidation is pending, a commit that Redis accepts proves nothing to this process.
    let committed = cached.outcome == Outcome::Miss(Fill::Stored) && pending.unchanged_since(epoch);
    LoadResult { result: Ok(cached), phase, committed }
}

async fn load_without_storing<Io: LoadIo>(io: &Io, flight: &Arc<InFlight>, why: Bypass) -> LoadResult {
    let Some(_permit) = io.acquire_permit(flight.key()).await else { return overloaded(flight) };
    // No commit will prove the value valid for later joiners, so readers that arrive from now on join another load.
    io.single_flight().close(flight);
    let phase = flight.next_phase();
    let loaded = io.load().await;
    let result = loaded.map(|loaded| Cached::from_new_entry(&loaded, Outcome::Bypass(why)));
    LoadResult { result, phase, committed: false }
}

fn overloaded(flight: &InFlight) -> LoadResult {
    LoadResult { result: Err(GetError::Overloaded), phase: flight.next_phase(), committed: false }
}
