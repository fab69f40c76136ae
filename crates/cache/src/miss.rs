//! A miss: one load for all who wait, stored only if nothing that could have outdated it happened meanwhile.
//!
//! ```text
//! reader ── board ──▶ flight: ACQUIRE ─▶ load ─▶ COMMIT ─▶ land ──▶ reader
//!                        │ somebody else's lease: poll, at most `wait`
//!                        │ Redis down: load, store nothing
//! ```
//!
//! The flight runs in a task of its own: a client that hangs up does not end it.

use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::timeout;
use tracing::warn;

use crate::entry::{self, Entry, Held};
use crate::flight::{Boarding, Flight};
use crate::lane::{Loader, Look};
use crate::redis::{Acquired, Commit, Grant};
use crate::{Bypass, EntryRecord, FetchError, Fetched, Fill, Happening, Key, Lane, Loaded, Outcome};

/// How often a reader whose flight's value was too old for it tries another flight, before it loads by itself.
const FLIGHTS: usize = 4;

/// What a flight brings home.
#[derive(Clone, Debug)]
pub(crate) struct Landed {
    pub(crate) result: Result<Fetched, FetchError>,
    /// The phase in which the value was read.
    pub(crate) phase: u32,
    /// Whether a commit proved that nothing invalidated the value up to then.
    pub(crate) committed: bool,
}

/// The outcome of asking for the lease.
enum Lease {
    /// The right to load and to store, with a place in the bulkhead.
    Granted(Grant, OwnedSemaphorePermit),
    /// Somebody else has stored it meanwhile.
    Found(Entry, u32),
    /// Load, but store nothing.
    Denied(Bypass),
    /// Too many loads are under way.
    Crowded,
}

/// Sees to it that a flight leaves the table however its task ends, even if it never ran.
struct Closing {
    lane: Lane,
    flight: Arc<Flight>,
}

impl Lane {
    /// Loads through a flight. `past` says why the cache is not to be used, if it is not.
    pub(crate) async fn miss(&self, key: &Key, load: Loader, mut past: Option<Bypass>) -> Result<Fetched, FetchError> {
        for _ in 0..FLIGHTS {
            let (seat, mine) = match self.inner.flights.board(key) {
                Boarding::First(flight, seat) => {
                    let (closing, load) = (Closing { lane: self.clone(), flight }, Arc::clone(&load));
                    self.inner.spawn(async move {
                        let landed = closing.lane.fly(&closing.flight, load, past).await;
                        closing.lane.inner.flights.close(&closing.flight);
                        closing.flight.land(landed);
                    });
                    (seat, true)
                }
                Boarding::Joined(seat) => (seat, false),
            };
            let (landed, boarded) = seat.landed().await.ok_or(FetchError::Aborted)?;
            if landed.good_for(boarded) {
                let mut fetched = landed.result?;
                if !mine && matches!(fetched.outcome, Outcome::Miss(_)) {
                    fetched.outcome = Outcome::Collapsed;
                }
                return Ok(fetched);
            }
            // Read before this reader came. Mostly the entry is there by now.
            match self.look(key).await {
                Look::Fresh(fetched) => return Ok(fetched),
                Look::Stale(fetched, entry) => {
                    self.refresh_behind(key, &entry, load);
                    return Ok(fetched);
                }
                Look::Nothing => past = None,
                Look::Past(why) => past = Some(why),
            }
        }
        let _place = self.inner.bulkhead.enter().await.map_err(|_| FetchError::Overloaded)?;
        let loaded = self.load(&load).await?;
        Ok(Fetched::from_load(&loaded, Outcome::Bypass(Bypass::Contended)))
    }

    async fn fly(&self, flight: &Arc<Flight>, load: Loader, past: Option<Bypass>) -> Landed {
        let lease = match past {
            None => self.lease(flight).await,
            Some(why) => Lease::Denied(why),
        };
        match lease {
            Lease::Granted(grant, place) => self.load_and_commit(flight, &load, grant, place).await,
            Lease::Denied(why) => self.load_beside(flight, &load, why).await,
            Lease::Crowded => {
                Landed { result: Err(FetchError::Overloaded), phase: flight.next_phase(), committed: false }
            }
            Lease::Found(entry, phase) => {
                let now = self.inner.store.connection.clock.now_ms();
                let fetched = Fetched::from_entry(&entry, now, Outcome::Collapsed);
                Landed { result: Ok(fetched), phase, committed: false }
            }
        }
    }

    async fn load_and_commit(
        &self,
        flight: &Arc<Flight>,
        load: &Loader,
        grant: Grant,
        place: OwnedSemaphorePermit,
    ) -> Landed {
        let (key, flights, repairs) = (flight.key(), &self.inner.flights, &self.inner.repairs);
        let mark = repairs.mark();
        let phase = flight.next_phase();
        let loaded = {
            let mut loading = pin!(self.load(load));
            match timeout(self.kind.policy.lease, &mut loading).await {
                Ok(loaded) => loaded,
                // The lease is over and the commit will be refused: who comes from now on should not wait for it.
                Err(_) => {
                    flights.close(flight);
                    loading.await
                }
            }
        };
        drop(place);
        let loaded = match loaded {
            Ok(loaded) => loaded,
            Err(error) => {
                self.give_back(key, grant).await;
                return Landed { result: Err(error), phase, committed: false };
            }
        };
        // Before COMMIT is sent, not after its reply: see flight.rs.
        flights.close(flight);
        let fetched = self.commit(key, grant.clone(), loaded).await;
        if matches!(fetched.outcome, Outcome::Miss(Fill::Failed | Fill::Declined)) {
            self.give_back(key, grant).await;
        }
        // While an invalidation is waiting for Redis, what Redis accepts proves nothing to this process.
        let committed = fetched.outcome == Outcome::Miss(Fill::Stored) && repairs.quiet_since(mark);
        Landed { result: Ok(fetched), phase, committed }
    }

    async fn load_beside(&self, flight: &Arc<Flight>, load: &Loader, why: Bypass) -> Landed {
        let Ok(_place) = self.inner.bulkhead.enter().await else {
            return Landed { result: Err(FetchError::Overloaded), phase: flight.next_phase(), committed: false };
        };
        // No commit will vouch for joiners, so those who come from now on gather on a flight of their own.
        self.inner.flights.close(flight);
        let phase = flight.next_phase();
        let loaded = self.load(load).await;
        let result = loaded.map(|loaded| Fetched::from_load(&loaded, Outcome::Bypass(why)));
        Landed { result, phase, committed: false }
    }

    /// Asks for the lease until it is granted, the value is there, or the policy's patience ends.
    ///
    /// The place in the bulkhead comes first: a lease that runs out in a queue helps nobody.
    async fn lease(&self, flight: &Flight) -> Lease {
        let (key, policy, store) = (flight.key(), &self.kind.policy, &self.inner.store);
        let deadline = Instant::now() + policy.wait;
        loop {
            let Ok(place) = self.inner.bulkhead.enter().await else { return Lease::Crowded };
            let mark = self.inner.repairs.mark();
            let phase = flight.next_phase();
            match store.acquire(key, policy.lease).await {
                Ok(Acquired::Granted(grant)) => return Lease::Granted(grant, place),
                Ok(Acquired::Held(Held::Value(entry))) if self.inner.repairs.cover(mark, key, &entry) => {
                    return Lease::Denied(Bypass::RepairPending);
                }
                Ok(Acquired::Held(Held::Value(entry))) => return Lease::Found(entry, phase),
                Ok(Acquired::Held(Held::Lease)) if Instant::now() >= deadline => {
                    return Lease::Denied(Bypass::LeaseHeld);
                }
                Ok(Acquired::Held(Held::Lease)) => {
                    drop(place);
                    tokio::time::sleep(Duration::from_micros(rand::random_range(2_000..6_000))).await;
                }
                Ok(Acquired::Held(Held::Unreadable)) => {
                    warn!(%key, "an entry that this version cannot read is removed");
                    if store.unlink(std::slice::from_ref(key)).await.is_err() {
                        return Lease::Denied(Bypass::RedisDown);
                    }
                }
                Err(_) => return Lease::Denied(Bypass::RedisDown),
            }
        }
    }

    /// Stores what was loaded under `grant`, if it still may be stored, and the loader wants it.
    pub(crate) async fn commit(&self, key: &Key, grant: Grant, loaded: Loaded) -> Fetched {
        if !loaded.store {
            self.filled(key, Fill::Declined, &loaded, 0);
            return Fetched::from_load(&loaded, Outcome::Miss(Fill::Declined));
        }
        let (soft, hard) = self.kind.policy.ttls(loaded.body.is_none(), rand::random());
        let header = entry::header(&loaded, soft, hard);
        let body = loaded.body.clone().unwrap_or_default();
        let (fill, id) = match self.inner.store.commit(key, grant, hard, header, body, &loaded.tags).await {
            Ok(Commit::Stored(id)) => (Fill::Stored, Some(id)),
            Ok(Commit::Refused(refusal)) => (Fill::Refused(refusal), None),
            Err(_) => (Fill::Failed, None),
        };
        self.filled(key, fill, &loaded, soft as i64);
        let mut fetched = Fetched::from_load(&loaded, Outcome::Miss(fill));
        if let Some(id) = id {
            fetched.id = Some(id.to_string().into());
            fetched.ttl_ms = soft as i64;
        }
        fetched
    }

    fn filled(&self, key: &Key, fill: Fill, loaded: &Loaded, ttl_ms: i64) {
        self.kind.meter.fill(fill);
        self.inner.tell(|| {
            let record = EntryRecord { version: loaded.version, ..self.record(key, fill.detail()) };
            match fill {
                Fill::Stored => {
                    Happening::Fill(EntryRecord { ttl_ms: Some(ttl_ms), tags: loaded.tags.clone(), ..record })
                }
                Fill::Refused(_) | Fill::Declined | Fill::Failed => Happening::Refused(record),
            }
        });
    }

    /// One load, counted. A panic in the loader ends the load and nothing else.
    pub(crate) async fn load(&self, load: &Loader) -> Result<Loaded, FetchError> {
        let began = Instant::now();
        let loaded = AssertUnwindSafe(async { load().await }).catch_unwind().await;
        self.kind.meter.load(began.elapsed(), matches!(loaded, Ok(Ok(_))));
        loaded.map_err(|_| FetchError::Aborted)?.map_err(FetchError::Load)
    }

    async fn give_back(&self, key: &Key, grant: Grant) {
        // When this fails too, the lease ends by itself.
        let _ = self.inner.store.release(key, grant).await;
    }
}

impl Drop for Closing {
    fn drop(&mut self) {
        self.lane.inner.flights.close(&self.flight);
    }
}
