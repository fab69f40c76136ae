//! A miss: one load for all readers that wait, stored only if nothing that could have outdated it happened in the
//! meantime. A stale hit: one load in the background.
//!
//! ```text
//! reader ── join ──▶ load in flight: acquire.lua ─▶ load ─▶ commit.lua ─▶ complete ──▶ reader
//!                       │ another client holds the lease: poll, at most `wait`
//!                       │ Redis is down: load, store nothing
//!                       │ the load takes too long: abort it, return what the cache holds by then
//! ```
//!
//! The load runs in its own task, so a caller that disconnects does not end it. `single_flight.rs` has its steps; this
//! module has what each step does to Redis and the database.

use std::borrow::Cow;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::task::AbortOnDropHandle;
use tracing::{Instrument, debug, trace_span};

use crate::bulkhead::{self, KeyLock, LoadPermit, Permit, SharedPermit};
use crate::cache::{Definition, Lookup, Region};
use crate::entry::CachedEntry;
use crate::error::LoadError;
use crate::keyspace::{Key, Tag};
use crate::lease::{Grant, LeaseReply, RefreshReply};
use crate::loader::{Content, SharedLoader};
use crate::outcome::{Bypass, Fill, Outcome};
use crate::pending::PendingInvalidations;
use crate::policy::EarlyRefresh;
use crate::refresh::RefreshSet;
use crate::single_flight::{Join, LoadIo, run_load};

/// The maximum number of loads that a reader joins and whose values are too old for it, before it bypasses the cache.
const MAX_JOINS: usize = 4;

/// The context of a load in flight: an entry of this region.
struct MissContext {
    region: Region,
    load: SharedLoader,
    /// When the wait for another client's lease ends.
    deadline: Instant,
}

impl Region {
    /// Loads the entry through single-flight.
    ///
    /// `bypass` is the reason not to use the cache, if there is one. For a bypass that the caller requested, only the
    /// value of a load with the same bypass is valid, because any other load may have found its value in the cache.
    pub(crate) async fn miss(
        &self, key: &Key, load: SharedLoader, bypass: Option<Bypass>,
    ) -> Result<CachedEntry, LoadError> {
        key.check()?;
        // A load that waits for another load must not hold the permit that the other one needs.
        let shared = bulkhead::without_permit(self.share_load(key, load, bypass));
        let loading = async { shared.await.unwrap_or(Err(LoadError::Overloaded)) };
        // A caller that requested the bypass does not trust the entries.
        let may_fall_back = !matches!(bypass, Some(Bypass::Requested(_)));
        match self.definition.policy.stale_if_error {
            Some(_) if may_fall_back => self.or_fallback(key, loading).await,
            _ => loading.await,
        }
    }

    async fn share_load(
        &self, key: &Key, load: SharedLoader, mut bypass: Option<Bypass>,
    ) -> Result<CachedEntry, LoadError> {
        let requested = bypass.filter(|why| matches!(why, Bypass::Requested(_)));
        for _ in 0..MAX_JOINS {
            let shared = self.await_shared(self.shared.single_flight.join(key), &load, bypass).await?;
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
            // The value was read before this reader joined, or from a state that it does not accept. Usually, the entry is
            // in the cache by now.
            match self.lookup(key).await {
                Lookup::Found(cached) => {
                    if cached.outcome == Outcome::Stale {
                        self.refresh_in_background(key, &cached, load);
                    }
                    return Ok(cached);
                }
                Lookup::Miss => bypass = None,
                Lookup::Bypass(why) => bypass = Some(why),
            }
        }
        if let Some(why) = requested {
            let _lock = self.shared.bulkhead.key_locks.take(key).await;
            let permit = self.acquire_permit().await.ok_or(LoadError::Overloaded)?;
            let loaded = self.load(&load, permit).await?;
            return Ok(CachedEntry::from_loaded(&loaded, Outcome::Bypass(why)));
        }
        let join = self.shared.single_flight.join_bypass(key);
        let shared = self.await_shared(join, &load, Some(Bypass::Contended)).await?;
        // A bypass load is closed before it begins, so no reader joins it too late.
        self.or_cached_value(key, shared.unwrap_or(Err(LoadError::Aborted))).await
    }

    /// Waits for a load in flight, and starts it if this reader is the leader. Returns `None` when its value is too old
    /// for this reader.
    async fn await_shared(
        &self, join: Join, load: &SharedLoader, bypass: Option<Bypass>,
    ) -> Result<Option<Result<CachedEntry, LoadError>>, LoadError> {
        let (ticket, mine) = match join {
            Join::Leader(flight, ticket) => {
                let (region, load) = (self.clone(), load.clone());
                self.spawn(async move {
                    let deadline = Instant::now() + region.definition.policy.wait;
                    run_load(&MissContext { region, load, deadline }, flight, bypass).await;
                });
                (ticket, true)
            }
            Join::Follower(ticket) => {
                self.mark_decided();
                (ticket, false)
            }
        };
        let waiting = trace_span!("cache.wait", cache = self.definition.name, shared = !mine);
        let (result, joined_in) = ticket.result().instrument(waiting).await.ok_or(LoadError::Aborted)?;
        let is_accepted = || result.result.as_ref().map_or(true, |cached| self.accepts_found(cached));
        if !result.valid_for(joined_in) || !(result.was_loaded_after(joined_in) || is_accepted()) {
            return Ok(None);
        }
        let result = result.result.map(|mut cached| {
            if let (Outcome::Miss(_), false) = (cached.outcome, mine) {
                cached.outcome = Outcome::Collapsed;
            }
            cached
        });
        Ok(Some(result))
    }

    /// After a load that timed out, returns what another process has stored in the meantime, even if it is stale by
    /// now.
    async fn or_cached_value(
        &self, key: &Key, result: Result<CachedEntry, LoadError>,
    ) -> Result<CachedEntry, LoadError> {
        let Err(LoadError::TimedOut(_)) = &result else { return result };
        match self.lookup(key).await {
            Lookup::Found(cached) => Ok(cached),
            Lookup::Miss | Lookup::Bypass(_) => result,
        }
    }

    /// Returns whether an entry that is served is to be refreshed: it is stale, or due early.
    pub(crate) fn is_due(&self, cached: &CachedEntry) -> bool {
        let Definition { policy, load_time, .. } = &*self.definition;
        let is_due_early = |entry| {
            let now = self.shared.store.now_ms();
            policy.early_refresh.is_due(entry, now, load_time, rand::random)
        };
        cached.outcome == Outcome::Stale
            || (policy.early_refresh != EarlyRefresh::Off && cached.stored_entry().is_some_and(is_due_early))
    }

    /// Starts a refresh of a stored entry, unless this process already has one in flight.
    pub(crate) fn refresh_in_background(&self, key: &Key, cached: &CachedEntry, load: SharedLoader) {
        let Some(entry) = cached.stored_entry() else { return };
        let Some(turn) = RefreshSet::begin(&self.shared.refreshing, key) else { return };
        let (region, token) = (self.clone(), entry.token());
        self.spawn(async move {
            let key = &turn.key;
            // In the order of a miss. The key lock comes first, so that one load of a key runs at a time. The permit
            // comes before the refresh lock, so that the refresh lock does not expire while this task queues for the
            // permit.
            let _lock = region.lock_key(key).await;
            let Some(permit) = region.acquire_permit().await else { return };
            // Nothing to report: another process refreshes, the entry has changed, or Redis is down.
            let lock = region.definition.policy.lease_duration();
            let Ok(RefreshReply::Granted(grant)) = region.shared.store.refresh(key, token, lock).await else { return };
            match region.load(&load, permit).await {
                // If the loader declines the fill, the stale entry and the refresh lock stay, as after a failure.
                Ok(loaded) => drop(region.commit(key, grant, loaded).await),
                // The refresh lock stays for the lease time: readers keep the stale value, and no load follows at once.
                Err(error) => {
                    debug!(%key, %error, "a background refresh failed; the stale entry is kept until its hard TTL");
                    region.shared.store.refresh_failed(key).await;
                }
            }
        });
    }

    /// Runs one load under a permit of the bulkhead, records it in the metrics, and enforces its time limit.
    ///
    /// The load runs in its own task, so a panic in the loader ends only this load. A value after the time limit is
    /// dropped.
    pub(crate) async fn load(&self, load: &SharedLoader, permit: Permit) -> Result<Content, LoadError> {
        let (began, limit) = (Instant::now(), self.definition.policy.effective_load_timeout());
        let (region, load) = (self.clone(), load.clone());
        let loading = async move {
            let loading = load.call();
            region.mark_decided();
            loading.await
        };
        let loading = loading.instrument(trace_span!("cache.load", cache = self.definition.name));
        let permit = LoadPermit::new(Arc::clone(&self.shared.bulkhead), permit, self.shared_permit().cloned());
        // Aborted when it times out, or when this future is dropped.
        let loading = AbortOnDropHandle::new(self.spawn(permit.held_by(loading)));
        let loaded = match timeout(limit, loading).await {
            Ok(Ok(loaded)) => loaded.and_then(|loaded| {
                loaded.tags.iter().try_for_each(Tag::check)?;
                Ok(loaded)
            }),
            Ok(Err(ended)) if ended.is_panic() => Err(LoadError::Panicked),
            Ok(Err(_)) => Err(LoadError::Aborted),
            Err(_) => Err(LoadError::TimedOut(limit)),
        };
        permit.release();
        let took = began.elapsed();
        self.definition.observer.loaded(took, loaded.is_ok());
        if self.definition.policy.early_refresh != EarlyRefresh::Off {
            self.definition.load_time.record(took);
        }
        loaded
    }

    /// Stores the loaded value under `grant`, if it may still be stored and the loader wants it stored.
    pub(crate) async fn commit(&self, key: &Key, grant: Grant, loaded: Content) -> CachedEntry {
        let (soft, hard) = self.definition.policy.ttls(loaded.body.is_none(), loaded.longest_ttl, rand::random());
        let Definition { values, policy, .. } = &*self.definition;
        let packed = match values.is_plain() {
            true => Some(Cow::Borrowed(&loaded)),
            false => values.pack(&loaded),
        };
        let stored = match packed {
            _ if !loaded.store => Err(Fill::Declined),
            None => Err(Fill::TooLarge),
            Some(packed) => {
                let (ttls, fallback) = ((soft, hard), policy.fallback_ms());
                let committing = trace_span!("cache.commit", %key);
                let stored = self.shared.store.commit(key, grant, &packed, values.schema, ttls, fallback);
                stored.instrument(committing).await
            }
        };
        let fill = stored.err().unwrap_or(Fill::Stored);
        self.definition.observer.filled(key, fill, &loaded, soft as i64, values.largest);
        let mut cached = CachedEntry::from_loaded(&loaded, Outcome::Miss(fill));
        if let Ok(id) = stored {
            cached.set_stored_id(&id, (soft, hard));
        }
        cached
    }

    /// Waits until no other load of `key` is in flight. Its batch does not wait for it in the meantime.
    async fn lock_key(&self, key: &Key) -> KeyLock {
        let mut lock = pin!(self.shared.bulkhead.key_locks.take(key));
        match (&mut lock).now_or_never() {
            Some(lock) => lock,
            None => {
                self.mark_decided();
                lock.await
            }
        }
    }

    /// Waits for a permit of the bulkhead. All loads of a batch share one.
    pub(crate) async fn acquire_permit(&self) -> Option<Permit> {
        self.shared.bulkhead.acquire_permit(self.shared_permit()).await
    }

    fn shared_permit(&self) -> Option<&SharedPermit> {
        self.member.as_ref().map(|member| member.permit())
    }

    /// Tells the batch not to wait for this read: its loader has registered what it needs, or it waits for another
    /// reader.
    pub(crate) fn mark_decided(&self) {
        if let Some(member) = &self.member {
            member.mark_decided();
        }
    }

    /// Starts a task that outlives its caller, in the span of the caller, on the runtime on which the client was created.
    pub(crate) fn spawn<F>(&self, task: F) -> JoinHandle<F::Output>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        self.shared.tasks.spawn_on(task.in_current_span(), &self.shared.runtime)
    }
}

impl LoadIo for MissContext {
    type Grant = Grant;
    type Permit = (KeyLock, Permit);

    fn pending(&self) -> &PendingInvalidations {
        &self.region.shared.invalidator.pending
    }

    fn now_ms(&self) -> u64 {
        self.region.shared.store.now_ms()
    }

    async fn acquire_permit(&self, key: &Key) -> Option<Self::Permit> {
        // The key lock first: a load that waits for it holds no permit that others could use.
        let lock = self.region.lock_key(key).await;
        Some((lock, self.region.acquire_permit().await?))
    }

    async fn acquire(&self, key: &Key) -> LeaseReply {
        let (region, lease) = (&self.region, self.region.definition.policy.lease_duration());
        let acquiring = trace_span!("cache.acquire", %key);
        match region.shared.store.acquire(key, lease).instrument(acquiring).await {
            LeaseReply::Found(entry) if !region.may_serve(&entry) => region.replace(key, entry, lease).await,
            reply => reply,
        }
    }

    async fn pause(&self) -> bool {
        let may_wait = Instant::now() < self.deadline;
        if may_wait {
            self.region.mark_decided();
            tokio::time::sleep(Duration::from_micros(rand::random_range(2_000..6_000))).await;
        }
        may_wait
    }

    async fn load(&self, (_lock, permit): Self::Permit) -> Result<Content, LoadError> {
        self.region.load(&self.load, permit).await
    }

    async fn commit(&self, key: &Key, grant: Grant, loaded: Content) -> CachedEntry {
        self.region.commit(key, grant, loaded).await
    }

    async fn release(&self, key: &Key, grant: Grant) {
        self.region.shared.store.release(key, grant).await;
    }
}
