//! A lane: entries of one kind, under one policy. Reading through the cache happens here.
//!
//! A hit is one `GET`, and nothing in this file is touched by it but [`Cache::look`]. What happens on a miss stands in
//! `miss.rs`, on a stale hit in `refresh.rs`.

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
    /// Which fetch of a batch this is, if it is one.
    pub(crate) member: Option<Arc<BatchMember>>,
}

#[derive(Debug)]
pub(crate) struct CacheDefinition {
    pub(crate) name: Arc<str>,
    pub(crate) policy: Policy,
    pub(crate) metrics: Metrics,
}

/// A loader as the background tasks keep it.
pub(crate) type Loader =
    Arc<dyn Fn() -> Pin<Box<dyn Future<Output = Result<NewEntry, LoaderError>> + Send>> + Send + Sync>;

/// What a look into Redis found.
pub(crate) enum Lookup {
    Fresh(Cached),
    Stale(Cached, StoredEntry),
    Nothing,
    Past(Bypass),
}

impl Cache {
    /// The key of entry `id` of this lane.
    pub fn key(&self, id: impl Display) -> Key {
        self.inner.keyspace.key(&self.definition.name, id)
    }

    /// The policy that the lane was made with.
    pub fn policy(&self) -> &Policy {
        &self.definition.policy
    }

    /// Answers from the cache, or loads, stores and answers.
    ///
    /// A value that was invalidated before this call began is never returned. `load` must read the primary, outside
    /// of any transaction that began earlier. It runs in a task of its own, once at a time for a key however many readers of
    /// this process wait; it is not stopped when this future is dropped, and given up (its task is aborted) after the policy's load timeout, so it must not block its thread. Past the soft TTL the stale value is returned at once and `load` runs
    /// behind.
    ///
    /// `load` must not fetch the same key: that would wait for itself. Fetching another key from within takes a second
    /// place among [`CacheSettings::max_loads`](crate::CacheSettings::max_loads) while the first is held; if all places are
    /// held by loads that wait for one more, none goes on. Let no more than half of them do so at once.
    ///
    /// # Errors
    /// When `load` fails, panics or takes longer than the policy's load timeout, or had to queue for longer than the settings
    /// allow. A Redis that is down is no error.
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
            Lookup::Nothing => {
                self.inner.emit(|| CacheEvent::Miss(self.record(key, None)));
                self.miss(key, loader(load), None).await?
            }
            Lookup::Past(why) => self.miss(key, loader(load), Some(why)).await?,
        };
        if let Outcome::Bypass(why) = cached.outcome {
            self.inner.emit(|| CacheEvent::Bypass(self.record(key, Some(why.as_str()))));
        }
        self.definition.metrics.read(cached.outcome);
        Ok(cached)
    }

    /// Loads, and neither looks into the cache nor stores: for a caller that knows of a reason not to trust what lies there,
    /// such as invalidations that it cannot receive. `why` is a token, such as `events-unverified`.
    ///
    /// Loads for one key are shared, and bounded, as in [`fetch`](Self::get_or_load).
    ///
    /// # Errors
    /// When `load` fails, or had to queue for longer than the settings allow.
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

    /// What the feed says of an entry.
    pub(crate) fn record(&self, key: &Key, detail: Option<&'static str>) -> EntryRecord {
        let cache = Arc::clone(&self.definition.name);
        EntryRecord { cache, key: key.clone(), version: None, ttl_ms: None, tags: Vec::new(), detail }
    }

    fn seen(&self, key: &Key, cached: &Cached) -> EntryRecord {
        EntryRecord { version: cached.version, ttl_ms: Some(cached.ttl_ms), ..self.record(key, None) }
    }

    /// Looks without loading or refreshing; `None` when there is nothing usable, Redis included.
    pub async fn get(&self, key: &Key) -> Option<Cached> {
        match self.lookup(key).await {
            Lookup::Fresh(cached) | Lookup::Stale(cached, _) => Some(cached),
            Lookup::Nothing | Lookup::Past(_) => None,
        }
    }

    pub(crate) async fn lookup(&self, key: &Key) -> Lookup {
        let epoch = self.inner.pending.epoch();
        let entry = match self.inner.store.get(key).await {
            Ok(Some(StoredValue::Value(entry))) => entry,
            Ok(Some(StoredValue::Lease | StoredValue::Unreadable) | None) => return Lookup::Nothing,
            Err(_) => return Lookup::Past(Bypass::RedisDown),
        };
        if self.inner.pending.is_suspect(epoch, key, &entry) {
            return Lookup::Past(Bypass::InvalidationPending);
        }
        let now = self.inner.store.connection.clock.now_ms();
        if entry.is_fresh(now) {
            return Lookup::Fresh(Cached::from_stored(&entry, now, Outcome::Hit));
        }
        // Redis removes an entry at its hard TTL by the same clock; this holds even where it is late.
        if entry.age(now) >= entry.hard {
            return Lookup::Nothing;
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
