//! A miss: one load for all who wait, stored only if nothing that could have outdated it happened meanwhile.
//!
//! ```text
//! reader ── board ──▶ flight: ACQUIRE ─▶ load ─▶ COMMIT ─▶ land ──▶ reader
//!                        │ somebody else's lease: poll, at most `wait`
//!                        │ Redis down: load, store nothing
//! ```
//!
//! The flight runs in a task of its own: a client that hangs up does not end it. Its steps stand in `flight/steps.rs`; what
//! each of them does to Redis and the database stands here.

use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use tokio::time::timeout;
use tracing::warn;

use crate::bulkhead::Place;
use crate::entry::{self, Held};
use crate::flight::{Asked, Boarding, Flight, Flights, World, fly};
use crate::lane::{Loader, Look};
use crate::redis::{Acquired, Commit, Grant};
use crate::repair::Repairs;
use crate::{Bypass, EntryRecord, FetchError, Fetched, Fill, Happening, Key, Lane, Loaded, Outcome};

/// How often a reader whose flight's value was too old for it tries another flight, before it loads by itself.
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
            let (seat, mine) = match self.inner.flights.board(key) {
                Boarding::First(flight, seat) => {
                    let (lane, load) = (self.clone(), Arc::clone(&load));
                    let closing = Closing { lane: self.clone(), flight };
                    self.inner.spawn(async move {
                        let deadline = Instant::now() + lane.kind.policy.wait;
                        let landed = fly(&Errand { lane, load, deadline }, &closing.flight, past).await;
                        closing.lane.inner.flights.close(&closing.flight);
                        closing.flight.land(landed);
                    });
                    (seat, true)
                }
                Boarding::Joined(seat) => {
                    self.decided();
                    (seat, false)
                }
            };
            let (landed, boarded) = seat.landed().await.ok_or(FetchError::Aborted)?;
            if let Some(why) = requested {
                let is_loaded = !matches!(&landed.result, Ok(found) if found.outcome != Outcome::Bypass(why));
                match landed.good_for(boarded) && is_loaded {
                    true => return landed.result,
                    false => continue,
                }
            }
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
        let _place = self.enter().await.map_err(|_| FetchError::Overloaded)?;
        let loaded = self.load(&load).await?;
        Ok(Fetched::from_load(&loaded, Outcome::Bypass(requested.unwrap_or(Bypass::Contended))))
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

    /// One load, counted. A panic in the loader ends the load and nothing else.
    pub(crate) async fn load(&self, load: &Loader) -> Result<Loaded, FetchError> {
        let began = Instant::now();
        let loading = async {
            let loading = load();
            self.decided();
            loading.await
        };
        let loaded = AssertUnwindSafe(loading).catch_unwind().await;
        self.kind.meter.load(began.elapsed(), matches!(loaded, Ok(Ok(_))));
        loaded.map_err(|_| FetchError::Aborted)?.map_err(FetchError::Load)
    }
}

impl World for Errand {
    type Grant = Grant;
    type Place = Place;

    fn flights(&self) -> &Flights {
        &self.lane.inner.flights
    }

    fn repairs(&self) -> &Repairs {
        &self.lane.inner.repairs
    }

    fn now_ms(&self) -> u64 {
        self.lane.inner.store.connection.clock.now_ms()
    }

    async fn enter(&self) -> Option<Place> {
        self.lane.enter().await.ok()
    }

    async fn acquire(&self, key: &Key) -> Asked<Grant> {
        let store = &self.lane.inner.store;
        match store.acquire(key, self.lane.kind.policy.lease).await {
            Ok(Acquired::Granted(grant)) => Asked::Granted(grant),
            Ok(Acquired::Held(Held::Value(entry))) => Asked::Found(entry),
            Ok(Acquired::Held(Held::Lease)) => Asked::Held,
            Ok(Acquired::Held(Held::Unreadable)) => {
                warn!(%key, "an entry that this version cannot read is removed");
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

    async fn load(&self, overdue: impl FnOnce() + Send) -> Result<Loaded, FetchError> {
        let mut loading = pin!(self.lane.load(&self.load));
        match timeout(self.lane.kind.policy.lease, &mut loading).await {
            Ok(loaded) => loaded,
            Err(_) => {
                overdue();
                loading.await
            }
        }
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
