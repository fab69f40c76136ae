//! A cache: entries of one kind, under one policy. This module implements its reads.
//!
//! A hit is one `GET` and takes only [`Cache::lookup`] from this file. `miss.rs` handles a miss, `refresh.rs` a stale
//! hit.

use std::error::Error;
use std::fmt::Display;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use crate::batch::BatchMember;
use crate::client::Inner;
use crate::entry::{StoredEntry, StoredValue};
use crate::metrics::Metrics;
use crate::{Bypass, CacheEvent, Cached, EntryRecord, GetError, Key, LoaderError, NewEntry, Outcome, Policy};

/// Entries of one kind in a keyspace: `product:ttl:*`. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Cache {
    pub(crate) inner: Arc<Inner>,
    pub(crate) definition: Arc<CacheDefinition>,
    /// The read of a batch that this cache is for, if any.
    pub(crate) member: Option<Arc<BatchMember>>,
}

#[derive(Debug)]
pub(crate) struct CacheDefinition {
    pub(crate) name: Arc<str>,
    pub(crate) policy: Policy,
    pub(crate) metrics: Metrics,
}

/// A loader in the form that background tasks keep.
pub(crate) type Loader =
    Arc<dyn Fn() -> Pin<Box<dyn Future<Output = Result<NewEntry, LoaderError>> + Send>> + Send + Sync>;

/// The result of a lookup in Redis.
pub(crate) enum Lookup {
    Fresh(Cached),
    Stale(Cached, StoredEntry),
    Miss,
    Bypass(Bypass),
}

impl Cache {
    /// Returns the key of entry `id` in this cache.
    pub fn key(&self, id: impl Display) -> Key {
        self.inner.keyspace.key(&self.definition.name, id)
    }

    /// Returns the policy of this cache.
    pub fn policy(&self) -> &Policy {
        &self.definition.policy
    }

    /// Returns the entry from the cache; on a miss, loads the value, stores it and returns it.
    ///
    /// Never returns a value that was invalidated before this call began. `load` must read the primary, outside of any
    /// transaction that began earlier. It runs in its own task. A process runs one load of a key at a time, for all
    /// readers that wait for it. Dropping the returned future does not stop the load. A load that exceeds the policy's
    /// load timeout is aborted, so `load` must not block its thread. After the soft TTL, this method returns the stale
    /// value at once and runs `load` in the background.
    ///
    /// `load` must not call `get_or_load` for the same key: it would wait for itself. If it calls `get_or_load` for
    /// another key, it takes a second of the [`CacheSettings::max_loads`](crate::CacheSettings::max_loads) permits
    /// while it holds the first. If loads that wait for a second permit hold all permits, none of them proceeds. Let no
    /// more than half of the loads do so at once.
    ///
    /// # Errors
    /// Returns an error when `load` fails, panics or exceeds the policy's load timeout, or when it had to queue for
    /// longer than the settings allow. An unavailable Redis is no error.
    pub async fn get_or_load<F, Fut, E>(&self, key: &Key, load: F) -> Result<Cached, GetError>
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<NewEntry, E>> + Send + 'static,
        E: Error + Send + Sync + 'static,
    {
        let cached = match self.lookup(key).await {
            Lookup::Fresh(cached) => {
                self.inner.emit(|| CacheEvent::Hit(self.seen(key, &cached)));
                cached
            }
            Lookup::Stale(cached, entry) => {
                self.inner.emit(|| CacheEvent::Stale(self.seen(key, &cached)));
                self.refresh_in_background(key, &entry, loader(load));
                cached
            }
            Lookup::Miss => {
                self.inner.emit(|| CacheEvent::Miss(self.record(key, None)));
                self.miss(key, loader(load), None).await?
            }
            Lookup::Bypass(why) => self.miss(key, loader(load), Some(why)).await?,
        };
        if let Outcome::Bypass(why) = cached.outcome {
            self.inner.emit(|| CacheEvent::Bypass(self.record(key, Some(why.as_str()))));
        }
        self.definition.metrics.read(cached.outcome);
        Ok(cached)
    }

    /// Loads the value and bypasses the cache: it neither looks up the entry nor stores the value.
    ///
    /// For a caller that has a reason not to trust the stored entries, such as missed invalidations. `why` is a token,
    /// such as `events-unverified`. Loads of one key are shared and bounded as in [`get_or_load`](Self::get_or_load).
    ///
    /// # Errors
    /// Returns an error when `load` fails, panics or exceeds the policy's load timeout, or when it had to queue for
    /// longer than the settings allow.
    pub async fn load_uncached<F, Fut, E>(&self, key: &Key, why: &'static str, load: F) -> Result<Cached, GetError>
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<NewEntry, E>> + Send + 'static,
        E: Error + Send + Sync + 'static,
    {
        let cached = self.miss(key, loader(load), Some(Bypass::Requested(why))).await?;
        self.inner.emit(|| CacheEvent::Bypass(self.record(key, Some(why))));
        self.definition.metrics.read(cached.outcome);
        Ok(cached)
    }

    /// Returns the feed record of an entry.
    pub(crate) fn record(&self, key: &Key, detail: Option<&'static str>) -> EntryRecord {
        let cache = Arc::clone(&self.definition.name);
        EntryRecord { cache, key: key.clone(), version: None, ttl_ms: None, tags: Vec::new(), detail }
    }

    fn seen(&self, key: &Key, cached: &Cached) -> EntryRecord {
        EntryRecord { version: cached.version, ttl_ms: Some(cached.ttl_ms), ..self.record(key, None) }
    }

    /// Returns the entry without loading or refreshing it; `None` when there is no usable entry, or when Redis is
    /// unavailable.
    pub async fn get(&self, key: &Key) -> Option<Cached> {
        match self.lookup(key).await {
            Lookup::Fresh(cached) | Lookup::Stale(cached, _) => Some(cached),
            Lookup::Miss | Lookup::Bypass(_) => None,
        }
    }

    pub(crate) async fn lookup(&self, key: &Key) -> Lookup {
        let epoch = self.inner.pending.epoch();
        let entry = match self.inner.store.get(key).await {
            Ok(Some(StoredValue::Value(entry))) => entry,
            Ok(Some(StoredValue::Lease | StoredValue::Unreadable) | None) => return Lookup::Miss,
            Err(_) => return Lookup::Bypass(Bypass::RedisDown),
        };
        if self.inner.pending.is_suspect(epoch, key, &entry) {
            return Lookup::Bypass(Bypass::InvalidationPending);
        }
        let now = self.inner.store.connection.clock.now_ms();
        if entry.is_fresh(now) {
            return Lookup::Fresh(Cached::from_stored(&entry, now, Outcome::Hit));
        }
        // Redis removes an entry at its hard TTL by the same clock. This check also holds when Redis is late.
        if entry.age(now) >= entry.hard {
            return Lookup::Miss;
        }
        Lookup::Stale(Cached::from_stored(&entry, now, Outcome::Stale), entry)
    }
}

fn loader<F, Fut, E>(load: F) -> Loader
where
    F: Fn() -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<NewEntry, E>> + Send + 'static,
    E: Error + Send + Sync + 'static,
{
    Arc::new(move || {
        let loading = load();
        Box::pin(async move { loading.await.map_err(|error| Arc::new(error) as LoaderError) })
    })
}
