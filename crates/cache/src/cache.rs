//! A cache: values of one type, under one policy.
//!
//! A hit is one `GET`. The near cache, if the policy has one, is looked up before it (`near.rs`). `load.rs` handles a miss
//! and a stale hit.

use std::fmt::{self, Display};
use std::marker::PhantomData;
use std::sync::Arc;

use futures_util::future::join_all;
use tokio::runtime::Handle;
use tokio_util::sync::DropGuard;
use tokio_util::task::TaskTracker;

use crate::batch::{Batch, BatchMember};
use crate::bulkhead::Bulkhead;
use crate::codec::{Decode, Json};
use crate::early_refresh::LoadTime;
use crate::entry::{Cached, CachedEntry, StoredEntry, StoredValue};
use crate::error::{GetError, LoadError};
use crate::invalidate::{Invalidated, Invalidation, Invalidator};
use crate::keyspace::Key;
use crate::loader::{LazyLoader, Loader, SharedLoader};
use crate::near::Snapshot;
use crate::near_cache::{NearCache, TrackedRead};
use crate::outcome::{Bypass, Observer, Outcome};
use crate::policy::Policy;
use crate::refresh::RefreshSet;
use crate::single_flight::SingleFlight;
use crate::store::Store;
use crate::values::Values;

/// Values of one type in a keyspace: `product:ttl:*`. Cheap to clone.
///
/// Every method takes the id of an entry, and not its key: so a key of another cache cannot be passed.
pub struct Cache<T, C = Json> {
    pub(crate) region: Region,
    value: PhantomData<fn() -> (T, C)>,
}

/// What all caches of a client share.
#[derive(Debug)]
pub(crate) struct Shared {
    /// Stops the background tasks, which do not hold this value.
    pub(crate) _dropped: DropGuard,
    pub(crate) store: Arc<Store>,
    pub(crate) invalidator: Arc<Invalidator>,
    pub(crate) single_flight: SingleFlight,
    pub(crate) refreshing: Arc<RefreshSet>,
    pub(crate) bulkhead: Arc<Bulkhead>,
    /// Loads, refreshes and invalidations.
    pub(crate) tasks: TaskTracker,
    pub(crate) runtime: Handle,
}

/// Why a read bypasses a cache in which it finds only entries that it cannot decode.
const UNDECODABLE: &str = "undecodable";

/// Whether a reader accepts an entry with this stamp.
pub(crate) type Requirement = Arc<dyn Fn(Option<&str>) -> bool + Send + Sync>;

/// The entries of one cache. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Region {
    pub(crate) shared: Arc<Shared>,
    pub(crate) definition: Arc<Definition>,
    /// The batch member whose read this region serves, if the read belongs to a batch.
    pub(crate) member: Option<Arc<BatchMember>>,
    /// What the readers of this region require of an entry, if anything.
    pub(crate) requirement: Option<Requirement>,
    /// The id of an entry that a reader could not decode.
    pub(crate) undecodable: Option<Arc<[u8]>>,
}

#[derive(Debug)]
pub(crate) struct Definition {
    pub(crate) name: String,
    pub(crate) policy: Policy,
    pub(crate) values: Values,
    /// `None` for a cache whose entries are only in Redis.
    pub(crate) near: Option<Arc<NearCache>>,
    pub(crate) observer: Observer,
    pub(crate) load_time: LoadTime,
}

/// The result of a lookup in Redis.
pub(crate) enum Lookup {
    /// Fresh, or stale within the hard TTL.
    Found(CachedEntry),
    Miss,
    Bypass(Bypass),
}

impl<T, C> Cache<T, C> {
    pub(crate) fn of(region: Region) -> Self {
        Self { region, value: PhantomData }
    }

    /// Returns the key of entry `id`, for an [`Invalidation`] or an [inspection](crate::CacheClient::inspect).
    pub fn key(&self, id: impl Display) -> Key {
        self.region.shared.store.keyspace.key(&self.region.definition.name, id)
    }

    /// Returns the policy of this cache.
    pub fn policy(&self) -> &Policy {
        &self.region.definition.policy
    }

    /// Returns the value from the cache; on a miss, loads it, stores it and returns it. `None` is stored, too.
    ///
    /// Like [`read`](Self::read), which returns the stored form of the value and its origin. An entry that cannot be decoded,
    /// because another version of the program stored it, is loaded again and replaced.
    ///
    /// # Errors
    /// Returns the errors of [`read`](Self::read), and an error when the loaded value cannot be decoded.
    pub async fn get_or_load(&self, id: impl Display, load: impl Loader<T, C>) -> Result<Option<T>, GetError>
    where
        C: Decode<T>,
    {
        let key = self.key(id);
        let found = self.region.lookup(&key).await;
        self.decode_or_load(&key, found, LazyLoader::new(load)).await
    }

    /// Returns the value that a lookup has found; loads it if there is none, or none that can be decoded.
    pub(crate) async fn decode_or_load<L>(
        &self, key: &Key, found: Lookup, mut load: LazyLoader<T, C, L>,
    ) -> Result<Option<T>, GetError>
    where
        L: Loader<T, C>,
        C: Decode<T>,
    {
        let region = &self.region;
        let undecodable = match Cached::<T, C>::new(region.serve(key, found, &mut load).await?).decoded()? {
            Ok(value) => return Ok(value),
            Err(undecodable) => undecodable,
        };
        region.definition.observer.undecodable(key, &undecodable.error);
        let others = Region { undecodable: Some(undecodable.id), ..region.clone() };
        if let Ok(value) = Cached::<T, C>::new(others.read(key, &mut load).await?).decoded()? {
            return Ok(value);
        }
        // The other version of the program has also stored the entry that replaced the first one.
        Ok(self.load_shared(key, UNDECODABLE, load.shared()).await?.value()?)
    }

    /// Returns the entry from the cache; on a miss, loads the value, stores it and returns it. Decodes nothing.
    ///
    /// Never returns a value whose hard invalidation was acknowledged before this call began, except from memory under
    /// [`Near::Bounded`](crate::Near::Bounded) or [`Policy::serve_near_in_outage`].
    ///
    /// `load` must read the primary, outside of any transaction that began earlier. It runs in its own task. A process
    /// runs one load of a key at a time, for all readers that wait for it. Dropping the returned future does not stop
    /// the load. A load that exceeds the policy's load timeout is aborted, so `load` must not block its thread. After
    /// the soft TTL, this method returns the stale value at once and runs `load` in the background.
    ///
    /// `load` may read other entries through a cache. While it waits for their loads, it holds none of the
    /// [`CacheSettings::max_loads`](crate::CacheSettings::max_loads) permits, so loads that wait for one another's
    /// permits cannot block each other. This holds within the task of the load, and not in tasks that it spawns. `load`
    /// must not read its own entry: it would wait for itself, until its load timeout.
    ///
    /// # Errors
    /// Returns an error when `load` fails, panics or exceeds the policy's load timeout, or when it had to queue for
    /// longer than the settings allow. An unavailable Redis is no error.
    pub async fn read(&self, id: impl Display, load: impl Loader<T, C>) -> Result<Cached<T, C>, LoadError> {
        let key = self.key(id);
        Ok(Cached::new(self.region.read(&key, &mut LazyLoader::new(load)).await?))
    }

    /// Loads the value and bypasses the cache: it neither looks up the entry nor stores the value.
    ///
    /// For a caller that has a reason not to trust the stored entries, such as missed invalidations. `why` is a token,
    /// such as `events-unverified`. Loads of one key are shared and bounded as in [`read`](Self::read).
    ///
    /// # Errors
    /// Returns an error when `load` fails, panics or exceeds the policy's load timeout, or when it had to queue for
    /// longer than the settings allow.
    pub async fn load_uncached(
        &self, id: impl Display, why: &'static str, load: impl Loader<T, C>,
    ) -> Result<Cached<T, C>, LoadError> {
        self.load_shared(&self.key(id), why, load.share()).await
    }

    async fn load_shared(&self, key: &Key, why: &'static str, load: SharedLoader) -> Result<Cached<T, C>, LoadError> {
        let cached = self.region.miss(key, load, Some(Bypass::Requested(why))).await?;
        self.region.definition.observer.observe(key, cached.outcome);
        Ok(Cached::new(cached))
    }

    /// Returns the entry without loading or refreshing it; `None` when there is no usable entry. While Redis is
    /// unavailable, it returns entries only under [`Policy::serve_near_in_outage`], from the memory of the process.
    pub async fn get(&self, id: impl Display) -> Option<Cached<T, C>> {
        match self.region.lookup(&self.key(id)).await {
            Lookup::Found(cached) => Some(Cached::new(cached)),
            Lookup::Miss | Lookup::Bypass(_) => None,
        }
    }

    /// Removes an entry. Call it after COMMIT.
    ///
    /// It runs in its own task: once the returned future has been polled, dropping it stops nothing.
    pub async fn invalidate(&self, id: impl Display) -> Invalidated {
        self.region.shared.invalidator.invalidate(Invalidation::hard().key(self.key(id))).await
    }

    /// Returns this cache for one read of `batch`.
    ///
    /// From this call on, the batch waits for the read. So call this method for all reads before you poll the first
    /// one, and drop each returned cache that you do not use.
    pub fn in_batch(&self, batch: &Batch) -> Self {
        Self::of(Region { member: Some(BatchMember::of(batch)), ..self.region.clone() })
    }
}

impl<T, C> Clone for Cache<T, C> {
    fn clone(&self) -> Self {
        Self::of(self.region.clone())
    }
}

impl<T, C> fmt::Debug for Cache<T, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Cache").field(&self.region.definition.name).finish()
    }
}

impl Region {
    async fn read<T, C, L>(&self, key: &Key, load: &mut LazyLoader<T, C, L>) -> Result<CachedEntry, LoadError>
    where
        L: Loader<T, C>,
    {
        let found = self.lookup(key).await;
        self.serve(key, found, load).await
    }

    /// Returns the entry that a lookup has found, and refreshes it if that is due; loads it if there is none.
    pub(crate) async fn serve<T, C, L>(
        &self, key: &Key, found: Lookup, load: &mut LazyLoader<T, C, L>,
    ) -> Result<CachedEntry, LoadError>
    where
        L: Loader<T, C>,
    {
        let observer = &self.definition.observer;
        // The future of a miss is large. It is boxed, so that a hit does not move it.
        let cached = match found {
            Lookup::Found(cached) => {
                observer.found(key, cached.outcome, cached.version, cached.ttl_ms);
                if self.is_due(&cached) {
                    self.refresh_in_background(key, &cached, load.shared());
                }
                cached
            }
            Lookup::Miss => {
                observer.missed(key);
                Box::pin(self.miss(key, load.shared(), None)).await?
            }
            Lookup::Bypass(why) => Box::pin(self.miss(key, load.shared(), Some(why))).await?,
        };
        observer.observe(key, cached.outcome);
        Ok(cached)
    }

    pub(crate) async fn lookup(&self, key: &Key) -> Lookup {
        let (store, epoch) = (&self.shared.store, self.shared.invalidator.pending.epoch());
        let near = self.definition.near.as_deref().filter(|_| store.is_in_use());
        if let Some(entry) = near.and_then(|near| near.memory.get(key, epoch)) {
            let now = store.now_ms();
            if entry.is_fresh(now) && self.accepts(&entry) {
                return Lookup::Found(CachedEntry::from_stored(entry, now, Outcome::NearHit));
            }
        }
        let tracked = match near {
            Some(near) => near.read(key, epoch).await,
            None => TrackedRead::Unusable,
        };
        let (found, stamp) = match tracked {
            TrackedRead::Found(found, stamp) => (Some(found), Some(stamp)),
            TrackedRead::Unusable => (store.get(key).await.ok(), None),
            TrackedRead::Late => (None, None),
        };
        self.judge(key, epoch, store.now_ms(), found, stamp)
    }

    /// Looks up several entries, which are requested together.
    pub(crate) async fn lookup_many(&self, keys: &[Key]) -> impl Iterator<Item = Lookup> {
        let (store, epoch) = (&self.shared.store, self.shared.invalidator.pending.epoch());
        let (lookups, found) = match self.definition.near {
            Some(_) => (join_all(keys.iter().map(|key| self.lookup(key))).await, Vec::new()),
            None => (Vec::new(), store.get_many(keys).await),
        };
        let now = store.now_ms();
        let judged = keys.iter().zip(found).map(move |(key, found)| self.judge(key, epoch, now, found.ok(), None));
        lookups.into_iter().chain(judged)
    }

    /// Decides whether a reader may use what the store has under a key; `found` is `None` if the store did not answer.
    fn judge(
        &self, key: &Key, epoch: u64, now: u64, found: Option<Option<StoredValue>>, stamp: Option<Snapshot>,
    ) -> Lookup {
        let entry = match found {
            Some(Some(StoredValue::Value(entry))) => entry,
            Some(Some(StoredValue::Unreadable)) => {
                self.definition.observer.unreadable(key);
                return Lookup::Miss;
            }
            Some(Some(StoredValue::Lease) | None) => return Lookup::Miss,
            None => return self.unverified(key, epoch).map_or(Lookup::Bypass(Bypass::RedisDown), Lookup::Found),
        };
        if self.shared.invalidator.pending.is_suspect(epoch, key, &entry) {
            return Lookup::Bypass(Bypass::InvalidationPending);
        }
        if !self.accepts(&entry) {
            return Lookup::Miss;
        }
        if entry.is_fresh(now) {
            if let Some((near, stamp)) = self.definition.near.as_deref().zip(stamp) {
                near.memory.insert(key, &entry, stamp);
            }
            return Lookup::Found(CachedEntry::from_stored(entry, now, Outcome::Hit));
        }
        // Redis removes an entry at its hard TTL by the same clock, unless the entry is kept as a fallback. This check
        // also covers an entry that Redis removes late.
        if entry.age(now) >= entry.hard {
            return Lookup::Miss;
        }
        Lookup::Found(CachedEntry::from_stored(entry, now, Outcome::Stale))
    }

    /// Returns whether this reader accepts a stored entry: its schema, its stamp, and that it can be decoded.
    pub(crate) fn accepts(&self, entry: &StoredEntry) -> bool {
        entry.schema == self.definition.values.schema
            && self.accepts_stamp(entry.stamp())
            && self.undecodable.as_ref().is_none_or(|id| entry.id() != &**id)
    }

    /// Returns whether this reader accepts what another reader has found or loaded.
    pub(crate) fn accepts_found(&self, cached: &CachedEntry) -> bool {
        cached.stored_entry().map_or_else(|| self.accepts_stamp(cached.stamp()), |entry| self.accepts(entry))
    }

    fn accepts_stamp(&self, stamp: Option<&str>) -> bool {
        self.requirement.as_ref().is_none_or(|accepts| accepts(stamp))
    }
}

impl fmt::Debug for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Region").field(&self.definition.name).finish()
    }
}
