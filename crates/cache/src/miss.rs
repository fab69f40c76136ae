//! A miss: one load for all readers that wait, stored only if nothing that could have outdated it happened in the
//! meantime.
//!
//! ```text
//! reader ── join ──▶ load in flight: ACQUIRE ─▶ load ─▶ COMMIT ─▶ complete ──▶ reader
//!                       │ another client holds the lease: poll, at most `wait`
//!                       │ Redis is down: load, store nothing
//!                       │ the load takes too long: abort it, return what the cache holds by then
//! ```
//!
//! The load runs in its own task, so a caller that disconnects does not end it. `flight/steps.rs` has its steps; this
//! module has what each step does to Redis and the database.

use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use tokio::time::timeout;
use tokio_util::task::AbortOnDropHandle;
use tracing::warn;

use crate::bulkhead::Permit;
use crate::cache::{Loader, Lookup};
use crate::entry::{self, StoredValue};
use crate::flight::{InFlight, Join, KeyLock, LeaseReply, LoadIo, SingleFlight, run_load};
use crate::pending::PendingInvalidations;
use crate::redis::{AcquireReply, CommitReply, Grant};
use crate::{Bypass, Cache, CacheEvent, Cached, EntryRecord, Fill, GetError, Key, NewEntry, Outcome};

/// How often a reader joins a load whose value is too old for it, before it bypasses the cache.
const FLIGHTS: usize = 4;

/// The context of a load in flight: an entry of this cache.
struct MissContext {
    cache: Cache,
    load: Loader,
    /// When the wait for another client's lease ends.
    deadline: Instant,
}

/// Removes a load in flight from the table, however its task ends, even if the task never ran.
struct CloseOnDrop {
    cache: Cache,
    flight: Arc<InFlight>,
}

impl Cache {
    /// Loads the entry through single-flight.
    ///
    /// `bypass` is the reason not to use the cache, if there is one. For a bypass that the caller requested, only the
    /// value of a load with the same bypass is valid, because any other load may have found its value in the cache.
    pub(crate) async fn miss(&self, key: &Key, load: Loader, mut bypass: Option<Bypass>) -> Result<Cached, GetError> {
        let requested = bypass.filter(|why| matches!(why, Bypass::Requested(_)));
        for _ in 0..FLIGHTS {
            let shared = self.await_shared(self.inner.single_flight.join(key), &load, bypass).await?;
            if let Some(why) = requested {
                match shared {
                    Some(Ok(found)) if found.outcome != Outcome::Bypass(why) => continue,
                    Some(result) => return result,
                    None => continue,
                }
            }
            if let Some(result) = shared {
                return self.or_cached_value(key, result).await;
            }
            // The value was read before this reader joined. Usually, the entry is in the cache by now.
            match self.lookup(key).await {
                Lookup::Fresh(cached) => return Ok(cached),
                Lookup::Stale(cached, entry) => {
                    self.refresh_in_background(key, &entry, load);
                    return Ok(cached);
                }
                Lookup::Nothing => bypass = None,
                Lookup::Past(why) => bypass = Some(why),
            }
        }
        if let Some(why) = requested {
            let _turn = self.inner.single_flight.lock_key(key).await;
            let _place = self.acquire_permit().await.map_err(|_| GetError::Overloaded)?;
            let loaded = self.load(&load).await?;
            return Ok(Cached::from_new_entry(&loaded, Outcome::Bypass(why)));
        }
        let join = self.inner.single_flight.join_bypass(key);
        let shared = self.await_shared(join, &load, Some(Bypass::Contended)).await?;
        // A bypass load is closed before it begins, so no reader joins it too late.
        self.or_cached_value(key, shared.unwrap_or(Err(GetError::Aborted))).await
    }

    /// Waits for a load in flight, and starts it if this reader is the leader. Returns `None` when its value is too old
    /// for this reader.
    async fn await_shared(
        &self,
        join: Join,
        load: &Loader,
        bypass: Option<Bypass>,
    ) -> Result<Option<Result<Cached, GetError>>, GetError> {
        let (ticket, mine) = match join {
            Join::Leader(flight, ticket) => {
                self.spawn_load(flight, Arc::clone(load), bypass);
                (ticket, true)
            }
            Join::Follower(ticket) => {
                self.mark_decided();
                (ticket, false)
            }
        };
        let (result, joined_in) = ticket.result().await.ok_or(GetError::Aborted)?;
        if !result.valid_for(joined_in) {
            return Ok(None);
        }
        let result = result.result.map(|cached| match cached.outcome {
            Outcome::Miss(_) if !mine => Cached { outcome: Outcome::Collapsed, ..cached },
            _ => cached,
        });
        Ok(Some(result))
    }

    fn spawn_load(&self, flight: Arc<InFlight>, load: Loader, bypass: Option<Bypass>) {
        let (cache, close_on_drop) = (self.clone(), CloseOnDrop { cache: self.clone(), flight });
        self.inner.spawn(async move {
            let deadline = Instant::now() + cache.definition.policy.wait;
            let result = run_load(&MissContext { cache, load, deadline }, &close_on_drop.flight, bypass).await;
            close_on_drop.cache.inner.single_flight.close(&close_on_drop.flight);
            close_on_drop.flight.complete(result);
        });
    }

    /// After a load that timed out, returns what another process has stored in the meantime, even if it is stale by
    /// now.
    async fn or_cached_value(&self, key: &Key, result: Result<Cached, GetError>) -> Result<Cached, GetError> {
        let Err(GetError::TimedOut(_)) = &result else { return result };
        match self.lookup(key).await {
            Lookup::Fresh(cached) | Lookup::Stale(cached, _) => Ok(cached),
            Lookup::Nothing | Lookup::Past(_) => result,
        }
    }

    /// Stores the loaded value under `grant`, if it may still be stored and the loader wants it stored.
    pub(crate) async fn commit(&self, key: &Key, grant: Grant, loaded: NewEntry) -> Cached {
        if !loaded.store {
            self.filled(key, Fill::Declined, &loaded, 0);
            return Cached::from_new_entry(&loaded, Outcome::Miss(Fill::Declined));
        }
        let (soft, hard) = self.definition.policy.ttls(loaded.body.is_none(), rand::random());
        let header = entry::header(&loaded, soft, hard);
        let body = loaded.body.clone().unwrap_or_default();
        let (fill, id) = match self.inner.store.commit(key, grant, hard, header, body, &loaded.tags).await {
            Ok(CommitReply::Stored(id)) => (Fill::Stored, Some(id)),
            Ok(CommitReply::Refused(refusal)) => (Fill::Refused(refusal), None),
            Err(_) => (Fill::Failed, None),
        };
        self.filled(key, fill, &loaded, soft as i64);
        let mut cached = Cached::from_new_entry(&loaded, Outcome::Miss(fill));
        if let Some(id) = id {
            cached.id = Some(id.to_string().into());
            cached.ttl_ms = soft as i64;
            cached.hard_ttl_ms = hard;
        }
        cached
    }

    fn filled(&self, key: &Key, fill: Fill, loaded: &NewEntry, ttl_ms: i64) {
        self.definition.metrics.fill(fill);
        self.inner.emit(|| {
            let record = EntryRecord { version: loaded.version, ..self.record(key, fill.detail()) };
            match fill {
                Fill::Stored => {
                    CacheEvent::Fill(EntryRecord { ttl_ms: Some(ttl_ms), tags: loaded.tags.clone(), ..record })
                }
                Fill::Refused(_) | Fill::Declined | Fill::Failed => CacheEvent::Refused(record),
            }
        });
    }

    /// Runs one load, records it in the metrics, and enforces its time limit.
    ///
    /// The load runs in its own task, so a panic in the loader ends only this load. A value after the time limit is
    /// dropped.
    pub(crate) async fn load(&self, load: &Loader) -> Result<NewEntry, GetError> {
        let (began, limit) = (Instant::now(), self.definition.policy.effective_load_timeout());
        let (cache, load) = (self.clone(), Arc::clone(load));
        let loading = async move {
            let loading = load();
            cache.mark_decided();
            loading.await
        };
        // Aborted when it times out, or when this future is dropped.
        let loading = AbortOnDropHandle::new(self.inner.spawn(loading));
        let loaded = match timeout(limit, loading).await {
            Ok(Ok(loaded)) => loaded.map_err(GetError::Load),
            Ok(Err(ended)) if ended.is_panic() => Err(GetError::Panicked),
            Ok(Err(_)) => Err(GetError::Aborted),
            Err(_) => Err(GetError::TimedOut(limit)),
        };
        self.definition.metrics.load(began.elapsed(), loaded.is_ok());
        loaded
    }
}

impl LoadIo for MissContext {
    type Grant = Grant;
    type Permit = (KeyLock, Permit);

    fn single_flight(&self) -> &SingleFlight {
        &self.cache.inner.single_flight
    }

    fn pending(&self) -> &PendingInvalidations {
        &self.cache.inner.pending
    }

    fn now_ms(&self) -> u64 {
        self.cache.inner.store.connection.clock.now_ms()
    }

    async fn acquire_permit(&self, key: &Key) -> Option<Self::Permit> {
        // The key lock first: a load that waits for it holds no permit that others could use.
        let mut turn = pin!(self.cache.inner.single_flight.lock_key(key));
        let turn = match (&mut turn).now_or_never() {
            Some(turn) => turn,
            None => {
                self.cache.mark_decided();
                turn.await
            }
        };
        Some((turn, self.cache.acquire_permit().await.ok()?))
    }

    async fn acquire(&self, key: &Key) -> LeaseReply<Grant> {
        let store = &self.cache.inner.store;
        match store.acquire(key, self.cache.definition.policy.lease_duration()).await {
            Ok(AcquireReply::Granted(grant)) => LeaseReply::Granted(grant),
            Ok(AcquireReply::Held(StoredValue::Value(entry))) => LeaseReply::Found(entry),
            Ok(AcquireReply::Held(StoredValue::Lease)) => LeaseReply::Taken,
            Ok(AcquireReply::Held(StoredValue::Unreadable)) => {
                if self.cache.inner.unreadable.failed() {
                    warn!(%key, "an entry has a format that this version cannot read; it is removed, and so are others like it");
                }
                self.cache.inner.unreadable.recovered();
                match store.unlink(std::slice::from_ref(key)).await {
                    Ok(_) => LeaseReply::Retry,
                    Err(_) => LeaseReply::Unavailable,
                }
            }
            Err(_) => LeaseReply::Unavailable,
        }
    }

    async fn pause(&self) -> bool {
        let may_wait = Instant::now() < self.deadline;
        if may_wait {
            self.cache.mark_decided();
            tokio::time::sleep(Duration::from_micros(rand::random_range(2_000..6_000))).await;
        }
        may_wait
    }

    async fn load(&self) -> Result<NewEntry, GetError> {
        self.cache.load(&self.load).await
    }

    async fn commit(&self, key: &Key, grant: Grant, loaded: NewEntry) -> Cached {
        self.cache.commit(key, grant, loaded).await
    }

    async fn release(&self, key: &Key, grant: Grant) {
        // If this fails, the lease expires by itself.
        let _ = self.cache.inner.store.release(key, grant).await;
    }
}

impl Drop for CloseOnDrop {
    fn drop(&mut self) {
        self.cache.inner.single_flight.close(&self.flight);
    }
}
