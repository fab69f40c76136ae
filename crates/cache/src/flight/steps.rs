//! The steps of one flight, in the order on which its promise hangs.
//!
//! What Redis, the database and the bulkhead do is said by a [`World`]: that of a lane (`miss.rs`), or a small one in which a
//! test chooses the order of everybody's steps (`orders.rs`).

use std::future::Future;
use std::sync::Arc;

use super::{Flight, Flights, Landed};
use crate::entry::Entry;
use crate::repair::Repairs;
use crate::{Bypass, FetchError, Fetched, Fill, Key, Loaded, Outcome};

/// Where a flight flies: one for each.
pub(crate) trait World: Sync {
    /// The right to load and to store.
    type Grant: Clone + Send;
    /// The key's turn, and a place among the loads that may run at once; both are free again when dropped.
    type Place: Send;

    fn flights(&self) -> &Flights;
    fn repairs(&self) -> &Repairs;
    fn now_ms(&self) -> u64;
    /// Waits until no other load of `key` is under way, then for a place; `None` when none became free in time.
    fn enter(&self, key: &Key) -> impl Future<Output = Option<Self::Place>> + Send;
    /// Asks for the lease, once.
    fn acquire(&self, key: &Key) -> impl Future<Output = Asked<Self::Grant>> + Send;
    /// Waits a moment for somebody else's lease; `false` when that has been long enough.
    fn pause(&self) -> impl Future<Output = bool> + Send;
    /// Reads the database, for less time than a lease lasts.
    fn load(&self) -> impl Future<Output = Result<Loaded, FetchError>> + Send;
    fn commit(&self, key: &Key, grant: Self::Grant, loaded: Loaded) -> impl Future<Output = Fetched> + Send;
    fn release(&self, key: &Key, grant: Self::Grant) -> impl Future<Output = ()> + Send;
}

/// What came of asking for the lease.
pub(crate) enum Asked<Grant> {
    Granted(Grant),
    /// Somebody else has it.
    Held,
    /// Somebody else has stored the value meanwhile.
    Found(Entry),
    /// What was there is gone now.
    Again,
    /// Redis did not answer.
    Down,
}

/// What came of asking for it until there was an answer.
enum Lease<W: World> {
    /// The right to load and to store, with a place in the bulkhead.
    Granted(W::Grant, W::Place),
    /// … and the phase in which it was read.
    Found(Entry, u32),
    /// Load, but store nothing.
    Denied(Bypass),
    /// Too many loads are under way.
    Crowded,
}

/// Flies, and returns what everybody on board is to be given. `past` says why the cache is not to be used, if it is not.
pub(crate) async fn fly<W: World>(world: &W, flight: &Arc<Flight>, past: Option<Bypass>) -> Landed {
    let lease = match past {
        None => lease(world, flight).await,
        Some(why) => Lease::Denied(why),
    };
    match lease {
        Lease::Granted(grant, place) => load_and_commit(world, flight, grant, place).await,
        Lease::Denied(why) => load_beside(world, flight, why).await,
        Lease::Crowded => crowded(flight),
        Lease::Found(entry, phase) => {
            let now = world.now_ms();
            // What was softly invalidated since it was loaded is no less stale because this reader came upon it here.
            let outcome = if entry.is_fresh(now) { Outcome::Collapsed } else { Outcome::Stale };
            let fetched = Fetched::from_entry(&entry, now, outcome);
            Landed { result: Ok(fetched), phase, committed: false }
        }
    }
}

/// Asks for the lease until it is granted, the value is there, or the patience ends.
///
/// The place in the bulkhead comes first: a lease that runs out in a queue helps nobody.
async fn lease<W: World>(world: &W, flight: &Flight) -> Lease<W> {
    loop {
        let Some(place) = world.enter(flight.key()).await else { return Lease::Crowded };
        let mark = world.repairs().mark();
        let phase = flight.next_phase();
        match world.acquire(flight.key()).await {
            Asked::Granted(grant) => return Lease::Granted(grant, place),
            Asked::Found(entry) if world.repairs().cover(mark, flight.key(), &entry) => {
                return Lease::Denied(Bypass::RepairPending);
            }
            Asked::Found(entry) => return Lease::Found(entry, phase),
            Asked::Held => {
                drop(place);
                if !world.pause().await {
                    return Lease::Denied(Bypass::LeaseHeld);
                }
            }
            Asked::Again => {}
            Asked::Down => return Lease::Denied(Bypass::RedisDown),
        }
    }
}

async fn load_and_commit<W: World>(world: &W, flight: &Arc<Flight>, grant: W::Grant, place: W::Place) -> Landed {
    let (key, flights, repairs) = (flight.key(), world.flights(), world.repairs());
    let mark = repairs.mark();
    let phase = flight.next_phase();
    let loaded = world.load().await;
    drop(place);
    let loaded = match loaded {
        Ok(loaded) => loaded,
        Err(error) => {
            world.release(key, grant).await;
            return Landed { result: Err(error), phase, committed: false };
        }
    };
    // Before COMMIT is sent, not after its reply: see flight.rs.
    flights.close(flight);
    let fetched = world.commit(key, grant.clone(), loaded).await;
    if matches!(fetched.outcome, Outcome::Miss(Fill::Failed | Fill::Declined)) {
        world.release(key, grant).await;
    }
    // While an invalidation is waiting for Redis, what Redis accepts proves nothing to this process.
    let committed = fetched.outcome == Outcome::Miss(Fill::Stored) && repairs.quiet_since(mark);
    Landed { result: Ok(fetched), phase, committed }
}

async fn load_beside<W: World>(world: &W, flight: &Arc<Flight>, why: Bypass) -> Landed {
    let Some(_place) = world.enter(flight.key()).await else { return crowded(flight) };
    // No commit will vouch for joiners, so those who come from now on gather on a flight of their own.
    world.flights().close(flight);
    let phase = flight.next_phase();
    let loaded = world.load().await;
    let result = loaded.map(|loaded| Fetched::from_load(&loaded, Outcome::Bypass(why)));
    Landed { result, phase, committed: false }
}

fn crowded(flight: &Flight) -> Landed {
    Landed { result: Err(FetchError::Overloaded), phase: flight.next_phase(), committed: false }
}
