//! Entries that exist and are not served at once: those that a reader does not accept ([`Cache::requiring`]), and those after
//! their hard TTL, which only replace a load that fails ([`Policy::stale_if_error`](crate::Policy::stale_if_error)).
//!
//! A load replaces such an entry as a refresh does, by compare-and-swap on the entry's own id: in the meantime, other
//! readers may still take it, and an invalidation removes it and refuses the load.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use crate::cache::{Cache, Region};
use crate::entry::{CachedEntry, StoredEntry, StoredValue};
use crate::error::LoadError;
use crate::keyspace::Key;
use crate::lease::{LeaseReply, RefreshReply};
use crate::outcome::Outcome;

impl<T, C> Cache<T, C> {
    /// Returns this cache for reads that take an entry only if `accepts` is true for its stamp
    /// ([`NewEntry::stamp`](crate::NewEntry::stamp)). Otherwise they load, and replace the entry.
    ///
    /// It holds in every state of Redis. So a reader that knows a committed write can require an entry that was loaded
    /// from a state with this write, even if the write was not made through a cache, or its invalidation is deferred.
    pub fn requiring(&self, accepts: impl Fn(Option<&str>) -> bool + Send + Sync + 'static) -> Self {
        Self::of(Region { requirement: Some(Arc::new(accepts)), ..self.region.clone() })
    }
}

impl Region {
    /// Returns whether this reader may take an entry without a load before.
    pub(crate) fn may_serve(&self, entry: &StoredEntry) -> bool {
        let now = self.shared.store.now_ms();
        entry.age(now) < entry.hard && self.accepts(entry)
    }

    /// Returns the entry that this process has in its memory, if the policy allows this while Redis is unavailable.
    pub(crate) fn unverified(&self, key: &Key, epoch: u64) -> Option<CachedEntry> {
        let near = self.definition.near.as_deref().filter(|_| self.definition.policy.near_in_outage)?;
        let entry = near.memory.get_unverified(key)?;
        let now = self.shared.store.now_ms();
        let pending = &self.shared.invalidator.pending;
        let may_be_served = entry.age(now) < entry.hard && self.accepts(&entry);
        let usable = may_be_served && !pending.is_suspect(epoch, key, &entry);
        usable.then(|| CachedEntry::from_stored(entry, now, Outcome::Unverified))
    }

    /// Acquires the right to replace an entry that [may not be served](Self::may_serve).
    pub(crate) async fn replace(&self, key: &Key, entry: StoredEntry, lease: Duration) -> LeaseReply {
        match self.shared.store.refresh(key, entry.token(), lease).await {
            Ok(RefreshReply::Granted(grant)) => LeaseReply::Granted(grant),
            Ok(RefreshReply::Changed) => LeaseReply::Retry,
            Ok(RefreshReply::Taken) => LeaseReply::Taken,
            Ok(RefreshReply::Failed) if self.may_replace_a_load(&entry) => LeaseReply::Found(entry),
            Ok(RefreshReply::Failed) => LeaseReply::Failed,
            Err(_) => LeaseReply::Unavailable,
        }
    }

    /// Waits for a load. If it fails, or takes longer than the soft load timeout, returns the entry that the cache still
    /// has, if it has one.
    pub(crate) async fn or_fallback(
        &self, key: &Key, loading: impl Future<Output = Result<CachedEntry, LoadError>>,
    ) -> Result<CachedEntry, LoadError> {
        let mut loading = pin!(loading);
        let mut loaded = None;
        if let Some(limit) = self.definition.policy.soft_load_timeout {
            loaded = timeout(limit, &mut loading).await.ok();
            if loaded.is_none()
                && let Some(cached) = self.fallback(key).await
            {
                return Ok(cached);
            }
        }
        let loaded = match loaded {
            Some(loaded) => loaded,
            None => loading.await,
        };
        match loaded {
            Ok(cached) => Ok(cached),
            Err(error) => self.fallback(key).await.ok_or(error),
        }
    }

    async fn fallback(&self, key: &Key) -> Option<CachedEntry> {
        let (store, pending) = (&self.shared.store, &self.shared.invalidator.pending);
        let epoch = pending.epoch();
        let Ok(Some(StoredValue::Value(entry))) = store.get(key).await else { return None };
        let usable = self.may_replace_a_load(&entry) && !pending.is_suspect(epoch, key, &entry);
        let now = store.now_ms();
        usable.then(|| {
            let outcome = if entry.is_fresh(now) { Outcome::Hit } else { entry.stale_outcome(now) };
            CachedEntry::from_stored(entry, now, outcome)
        })
    }

    fn may_replace_a_load(&self, entry: &StoredEntry) -> bool {
        let now = self.shared.store.now_ms();
        entry.age(now) < entry.hard + self.definition.policy.fallback_ms() && self.accepts(entry)
    }
}
