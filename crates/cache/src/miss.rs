//! A miss: one load for all who wait, stored only if nothing that could have outdated it happened meanwhile.
//!
//! ```text
//! reader ── board ──▶ flight: ACQUIRE ─▶ load ─▶ COMMIT ─▶ land ──▶ reader
//!                        │ somebody else's lease: poll, at most `wait`
//!                        │ Redis down: load, store nothing
//!                        │ the load takes too long: give it up, hand out what the cache holds by then
//! ```
//!
//! The flight runs in a task of its own: a client that hangs up does not end it. Its steps stand in `flight/steps.rs`; what
//! each of them does to Redis and the database stands here.

use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use tokio::time::timeout;
use tokio_util::task::AbortOnDropHandle;
use tracing::warn;

use crate::bulkhead::Place;
use crate::entry::{self, Held};
use crate::flight::{Asked, Boarding, Flight, Flights, Turn, World, fly};
use crate::lane::{Loader, Look};
use crate::redis::{Acquired, Commit, Grant};
use crate::repair::Repairs;
use crate::{Bypass, EntryRecord, FetchError, Fetched, Fill, Happening, Key, Lane, Loaded, Outcome};

/// How often a reader whose flight's value was too old for it tries another flight, before it goes past the cache.
const FLIGHTS: usize = 4;

/// What a flight is sent for: an entry of this lane.
struct Errand {
    lane: Lane,
    load: Loader,
    /// When it has waited long enough for somebody else's lease.
    deadline: Instant,
}

/// Sees to it that a flight leaves the table however its task ends, even if it never ran.
struct Closing {
    lane: Lane,
    flight: Arc<Flight>,
}

impl Lane {
    /// Loads through a flight. `past` says why the cache is not to be used, if it is not. Where the caller has asked for that,
    /// only what a flight of the same kind has loaded is good enough: any other may have found it in the cache.
    pub(crate) async fn miss(&self, key: &Key, load: Loader, mut past: Option<Bypass>) -> Result<Fetched, FetchError> {
        let requested = past.filter(|why| matches!(why, Bypass::Requested(_)));
        for _ in 0..FLIGHTS {
            let shared = self.share(self.inner.flights.board(key), &load, past).await?;
            if let Some(why) = requested {
                match shared {
                    Some(Ok(found)) if found.outcome != Outcome::Bypass(why) => continue,
                    Some(result) => return result,
                    None => continue,
                }
            }
            if let Some(result) = shared {
                return self.or_cached(key, result).await;
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
        if let Some(why) = requested {
            let _turn = self.inner.flights.turn(key).await;
            let _place = self.enter().await.map_err(|_| FetchError::Overloaded)?;
            let loaded = self.load(&load).await?;
            return Ok(Fetched::from_load(&loaded, Outcome::Bypass(why)));
        }
        let boarding = self.inner.flights.board_beside(key);
        let shared = self.share(boarding, &load, Some(Bypass::Contended)).await?;
        // Such a flight is closed before its load, so no reader joins it too late.
        self.or_cached(key, shared.unwrap_or(Err(FetchError::Aborted))).await
    }

    /// Waits for a flight, and flies it where this reader opened it. `None` when what it brings is too old for this reader.
    async fn share(
        &self,
        boarding: Boarding,
        load: &Loader,
        past: Option<Bypass>,
    ) -> Result<Option<Result<Fetched, FetchError>>, FetchError> {
        let (seat, mine) = match boarding {
            Boarding::First(flight, seat) => {
                self.take_off(flight, Arc::clone(load), past);
                (seat, true)
            }
            Boarding::Joined(seat) => {
                self.decided();
                (seat, false)
            }
        };
        let (landed, boarded) = seat.landed().await.ok_or(FetchError::Aborted)?;
        if !landed.good_for(boarded) {
            return Ok(None);
        }
        let result = landed.result.map(|fetched| match fetched.outcome {
            Outcome::Miss(_) if !mine => Fetched { outcome: Outcome::Collapsed, ..fetched },
            _ => fetched,
        });
        Ok(Some(result))
    }

    fn take_off(&self, flight: Arc<Flight>, load: Loader, past: Option<Bypass>) {
        let (lane, closing) = (self.clone(), Closing { lane: self.clone(), flight });
        self.inner.spawn(async move {
            let deadline = Instant::now() + lane.kind.policy.wait;
            let landed = fly(&Errand { lane, load, deadline }, &closing.flight, past).await;
            closing.lane.inner.flights.close(&closing.flight);
            closing.flight.land(landed);
        });
    }

    /// Where a load took too long: what another process has stored meanwhile, be it stale by now.
    async fn or_cached(&self, key: &Key, result: Result<Fetched, FetchError>) -> Result<Fetched, FetchError> {
        let Err(FetchError::TimedOut(_)) = &result else { return result };
        match self.look(key).await {
            Look::Fresh(fetched) | Look::Stale(fetched, _) => Ok(fetched),
            Look::Nothing | Look::Past(_) => result,
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
            fetched.hard_ttl_ms = hard;
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

    /// One load, counted, within its time limit.
    ///
    /// It runs in a task of its own: a panic in the loader ends nothing but this load. What it brings after its time is dropped.
    pub(crate) async fn load(&self, load: &Loader) -> Result<Loaded, FetchError> {
        let (began, limit) = (Instant::now(), self.kind.policy.load_limit());
        let (lane, load) = (self.clone(), Arc::clone(load));
        let loading = async move {
            let loading = load();
            lane.decided();
            loading.await
        };
        // Given up or dropped, it is aborted.
        let loading = AbortOnDropHandle::new(self.inner.spawn(loading));
        let loaded = match timeout(limit, loading).await {
            Ok(Ok(loaded)) => loaded.map_err(FetchError::Load),
            Ok(Err(ended)) if ended.is_panic() => Err(FetchError::Panicked),
            Ok(Err(_)) => Err(FetchError::Aborted),
            Err(_) => Err(FetchError::TimedOut(limit)),
        };
        self.kind.meter.load(began.elapsed(), loaded.is_ok());
        loaded
    }
}

impl World for Errand {
    type Grant = Grant;
    type Place = (Turn, Place);

    fn flights(&self) -> &Flights {
        &self.lane.inner.flights
    }

    fn repairs(&self) -> &Repairs {
        &self.lane.inner.repairs
    }

    fn now_ms(&self) -> u64 {
        self.lane.inner.store.connection.clock.now_ms()
    }

    async fn enter(&self, key: &Key) -> Option<Self::Place> {
        // The turn first: who waits for it keeps no place from others.
        let mut turn = pin!(self.lane.inner.flights.turn(key));
        let turn = match (&mut turn).now_or_never() {
            Some(turn) => turn,
            None => {
                self.lane.decided();
                turn.await
            }
        };
        Some((turn, self.lane.enter().await.ok()?))
    }

    async fn acquire(&self, key: &Key) -> Asked<Grant> {
        let store = &self.lane.inner.store;
        match store.acquire(key, self.lane.kind.policy.lease_time()).await {
            Ok(Acquired::Granted(grant)) => Asked::Granted(grant),
            Ok(Acquired::Held(Held::Value(entry))) => Asked::Found(entry),
            Ok(Acquired::Held(Held::Lease)) => Asked::Held,
            Ok(Acquired::Held(Held::Unreadable)) => {
                if self.lane.inner.unreadable.failed() {
                    warn!(%key, "an entry that this version cannot read is removed, and so are others like it");
                }
                self.lane.inner.unreadable.over();
                match store.unlink(std::slice::from_ref(key)).await {
                    Ok(_) => Asked::Again,
                    Err(_) => Asked::Down,
                }
            }
            Err(_) => Asked::Down,
        }
    }

    async fn pause(&self) -> bool {
        let patient = Instant::now() < self.deadline;
        if patient {
            self.lane.decided();
            tokio::time::sleep(Duration::from_micros(rand::random_range(2_000..6_000))).await;
        }
        patient
    }

    async fn load(&self) -> Result<Loaded, FetchError> {
        self.lane.load(&self.load).await
    }

    async fn commit(&self, key: &Key, grant: Grant, loaded: Loaded) -> Fetched {
        self.lane.commit(key, grant, loaded).await
    }

    async fn release(&self, key: &Key, grant: Grant) {
        // When this fails, the lease ends by itself.
        let _ = self.lane.inner.store.release(key, grant).await;
    }
}

impl Drop for Closing {
    fn drop(&mut self) {
        self.lane.inner.flights.close(&self.flight);
    }
}
