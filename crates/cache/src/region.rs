//! The entries of one cache, without the type of their values: lookup, load and fill.
//!
//! A hit is one `GET`, and takes only [`Region::lookup`] from this file. A near cache in the memory of the process would
//! be looked up there, before the `GET`. `load.rs` handles a miss and a stale hit.

use std::future::Future;
use std::sync::Arc;
use std::time::Instant;

use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::task::{AbortOnDropHandle, TaskTracker};

use crate::batch::BatchMember;
use crate::bulkhead::{Bulkhead, LoadPermit, Permit, SharedPermit};
use crate::entry::{CachedEntry, StoredEntry, StoredValue};
use crate::error::LoadError;
use crate::invalidate::Invalidator;
use crate::keyspace::Key;
use crate::loader::SharedLoader;
use crate::new_entry::Content;
use crate::outcome::{Bypass, Fill, Observer, Outcome};
use crate::policy::Policy;
use crate::redis::{Grant, Store};
use crate::refresh::RefreshSet;
use crate::single_flight::SingleFlight;

/// What all caches of a client share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) store: Arc<Store>,
    pub(crate) invalidator: Arc<Invalidator>,
    pub(crate) single_flight: SingleFlight,
    pub(crate) refreshing: Arc<RefreshSet>,
    pub(crate) bulkhead: Arc<Bulkhead>,
    /// Loads, refreshes and invalidations.
    pub(crate) tasks: TaskTracker,
    pub(crate) runtime: Handle,
}

/// The entries of one cache. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Region {
    pub(crate) shared: Arc<Shared>,
    pub(crate) definition: Arc<Definition>,
    /// The read of a batch that this region is for, if any.
    pub(crate) member: Option<Arc<BatchMember>>,
}

#[derive(Debug)]
pub(crate) struct Definition {
    pub(crate) name: String,
    pub(crate) policy: Policy,
    pub(crate) observer: Observer,
}

/// The result of a lookup in Redis.
pub(crate) enum Lookup {
    Fresh(CachedEntry),
    Stale(CachedEntry, StoredEntry),
    Miss,
    Bypass(Bypass),
}

impl Region {
    pub(crate) async fn lookup(&self, key: &Key) -> Lookup {
        let (store, pending) = (&self.shared.store, &self.shared.invalidator.pending);
        let epoch = pending.epoch();
        let entry = match store.reads.get(key).await {
            Ok(Some(StoredValue::Value(entry))) => entry,
            Ok(Some(StoredValue::Lease | StoredValue::Unreadable) | None) => return Lookup::Miss,
            Err(_) => return Lookup::Bypass(Bypass::RedisDown),
        };
        if pending.is_suspect(epoch, key, &entry) {
            return Lookup::Bypass(Bypass::InvalidationPending);
        }
        let now = store.connection.now_ms();
        if entry.is_fresh(now) {
            return Lookup::Fresh(CachedEntry::from_stored(&entry, now, Outcome::Hit));
        }
        // Redis removes an entry at its hard TTL by the same clock. This check also holds when Redis is late.
        if entry.age(now) >= entry.hard {
            return Lookup::Miss;
        }
        Lookup::Stale(CachedEntry::from_stored(&entry, now, Outcome::Stale), entry)
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
        let permit = LoadPermit::new(Arc::clone(&self.shared.bulkhead), permit, self.shared_permit().cloned());
        // Aborted when it times out, or when this future is dropped.
        let loading = AbortOnDropHandle::new(self.spawn(permit.held_by(loading)));
        let loaded = match timeout(limit, loading).await {
            Ok(Ok(loaded)) => loaded,
            Ok(Err(ended)) if ended.is_panic() => Err(LoadError::Panicked),
            Ok(Err(_)) => Err(LoadError::Aborted),
            Err(_) => Err(LoadError::TimedOut(limit)),
        };
        permit.release();
        self.definition.observer.loaded(began.elapsed(), loaded.is_ok());
        loaded
    }

    /// Stores the loaded value under `grant`, if it may still be stored and the loader wants it stored.
    pub(crate) async fn commit(&self, key: &Key, grant: Grant, loaded: Content) -> CachedEntry {
        let (soft, hard) = self.definition.policy.ttls(loaded.body.is_none(), loaded.longest_ttl, rand::random());
        let stored = match loaded.store {
            true => self.shared.store.commit(key, grant, &loaded, (soft, hard)).await,
            false => Err(Fill::Declined),
        };
        let fill = stored.err().unwrap_or(Fill::Stored);
        self.definition.observer.filled(key, fill, &loaded, soft as i64);
        let mut cached = CachedEntry::from_loaded(&loaded, Outcome::Miss(fill));
        if let Ok(id) = stored {
            cached.id = Some(id.to_string().into());
            (cached.ttl_ms, cached.hard_ttl_ms) = (soft as i64, hard);
        }
        cached
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

    /// Starts a task that outlives its caller, on the runtime on which the client was created.
    pub(crate) fn spawn<F>(&self, task: F) -> JoinHandle<F::Output>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        self.shared.tasks.spawn_on(task, &self.shared.runtime)
    }
}
