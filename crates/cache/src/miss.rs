//! A miss: one load for all who wait, stored only if nothing that could have outdated it happened meanwhile.
//!
//! ```text
//! reader ── board ──▶ flight: ACQUIRE ─▶ load ─▶ COMMIT ─▶ land ──▶ reader
//!                        │ somebody else's lease: poll, at most `wait`
//!                        │ Redis down: load, store nothing
//! ```
//!
//! The flight runs in a task of its own: a client that hangs up does not end it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tracing::warn;

use crate::entry::{self, Entry, Held};
use crate::flight::{Boarding, Flight};
use crate::lane::Loader;
use crate::redis::{Acquired, Commit, Grant};
use crate::{Bypass, FetchError, Fetched, Fill, Key, Lane, Loaded, Outcome};

/// How often a reader whose flight's value was too old for it tries another flight, before it loads by itself.
const FLIGHTS: usize = 3;

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
    Granted(Grant),
    Found(Entry, u32),
    Denied(Bypass),
}

impl Lane {
    /// Loads through a flight. `past` says why the cache is not to be used, if it is not.
    pub(crate) async fn miss(&self, key: &Key, load: Loader, past: Option<Bypass>) -> Result<Fetched, FetchError> {
        for _ in 0..FLIGHTS {
            let (seat, mine) = match self.inner.flights.board(key) {
                Boarding::First(flight, seat) => {
                    let (lane, load) = (self.clone(), Arc::clone(&load));
                    self.inner.spawn(async move { lane.fly(flight, load, past).await });
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
        }
        let loaded = self.load(&load).await?;
        Ok(Fetched::from_load(&loaded, Outcome::Bypass(Bypass::Contended)))
    }

    async fn fly(&self, flight: Arc<Flight>, load: Loader, past: Option<Bypass>) {
        // However this task ends, the flight leaves the table.
        let _closing = Closing { lane: self, flight: &flight };
        let landed = self.flight(&flight, load, past).await;
        self.inner.flights.close(&flight);
        flight.land(landed);
    }

    async fn flight(&self, flight: &Arc<Flight>, load: Loader, past: Option<Bypass>) -> Landed {
        let key = flight.key();
        let lease = match past {
            None => self.lease(flight).await,
            Some(why) => Lease::Denied(why),
        };
        let (grant, why) = match lease {
            Lease::Found(entry, phase) => {
                let now = self.inner.store.connection.clock.now_ms();
                let fetched = Fetched::from_entry(&entry, now, Outcome::Collapsed);
                return Landed { result: Ok(fetched), phase, committed: false };
            }
            Lease::Granted(grant) => (Some(grant), Bypass::RedisDown),
            Lease::Denied(why) => (None, why),
        };
        let Ok(permit) = self.inner.bulkhead.enter().await else {
            self.give_back(key, grant).await;
            return Landed { result: Err(FetchError::Overloaded), phase: flight.next_phase(), committed: false };
        };
        if grant.is_none() {
            // No commit will vouch for joiners, so those who come from now on gather on a flight of their own.
            self.inner.flights.close(flight);
        }
        let phase = flight.next_phase();
        let loaded = self.timed(&load).await;
        drop(permit);
        match (loaded, grant) {
            (Err(error), grant) => {
                self.give_back(key, grant).await;
                Landed { result: Err(error), phase, committed: false }
            }
            (Ok(loaded), None) => {
                let fetched = Fetched::from_load(&loaded, Outcome::Bypass(why));
                Landed { result: Ok(fetched), phase, committed: false }
            }
            (Ok(loaded), Some(grant)) => {
                // Before COMMIT is sent, not after its reply: see flight.rs.
                self.inner.flights.close(flight);
                let fetched = self.commit(key, grant, loaded).await;
                let committed = fetched.outcome == Outcome::Miss(Fill::Stored);
                Landed { result: Ok(fetched), phase, committed }
            }
        }
    }

    /// Asks for the lease until it is granted, the value is there, or the policy's patience ends.
    async fn lease(&self, flight: &Flight) -> Lease {
        let (key, policy, store) = (flight.key(), &self.kind.policy, &self.inner.store);
        let deadline = Instant::now() + policy.wait;
        loop {
            let phase = flight.next_phase();
            match store.acquire(key, policy.lease).await {
                Ok(Acquired::Granted(grant)) => return Lease::Granted(grant),
                Ok(Acquired::Held(Held::Value(entry))) if self.inner.repairs.cover(key, &entry) => {
                    return Lease::Denied(Bypass::RepairPending);
                }
                Ok(Acquired::Held(Held::Value(entry))) => return Lease::Found(entry, phase),
                Ok(Acquired::Held(Held::Lease)) if Instant::now() >= deadline => {
                    return Lease::Denied(Bypass::LeaseHeld);
                }
                Ok(Acquired::Held(Held::Lease)) => {
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

    /// Stores what was loaded under `grant`, if it still may be stored.
    pub(crate) async fn commit(&self, key: &Key, grant: Grant, loaded: Loaded) -> Fetched {
        let (soft, hard) = self.kind.policy.ttls(loaded.body.is_none(), rand::random());
        let header = entry::header(&loaded, soft, hard);
        let body = loaded.body.clone().unwrap_or_default();
        let (fill, id) = match self.inner.store.commit(key, grant, hard, header, body, &loaded.tags).await {
            Ok(Commit::Stored(id)) => (Fill::Stored, Some(id)),
            Ok(Commit::Refused(refusal)) => (Fill::Refused(refusal), None),
            Err(_) => (Fill::Failed, None),
        };
        self.kind.meter.fill(fill);
        let mut fetched = Fetched::from_load(&loaded, Outcome::Miss(fill));
        if let Some(id) = id {
            fetched.id = Some(id.to_string().into());
            fetched.ttl_ms = soft as i64;
        }
        fetched
    }

    /// One load of its own, within the bulkhead.
    pub(crate) async fn load(&self, load: &Loader) -> Result<Loaded, FetchError> {
        let _permit = self.inner.bulkhead.enter().await.map_err(|_| FetchError::Overloaded)?;
        self.timed(load).await
    }

    async fn timed(&self, load: &Loader) -> Result<Loaded, FetchError> {
        let began = Instant::now();
        let loaded = load().await;
        self.kind.meter.load(began.elapsed(), loaded.is_ok());
        loaded.map_err(FetchError::Load)
    }

    async fn give_back(&self, key: &Key, grant: Option<Grant>) {
        if let Some(grant) = grant {
            // When this fails too, the lease ends by itself.
            let _ = self.inner.store.release(key, grant).await;
        }
    }
}

struct Closing<'a> {
    lane: &'a Lane,
    flight: &'a Arc<Flight>,
}

impl Drop for Closing<'_> {
    fn drop(&mut self) {
        self.lane.inner.flights.close(self.flight);
    }
}
