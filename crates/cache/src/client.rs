//! The cache client of one service: its connection, its background tasks, and the caches made from it.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use redis_connect::RedisAddress;
use tokio::runtime::Handle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::bulkhead::Bulkhead;
use crate::cache::{Cache, Definition, Region, Shared};
use crate::early_refresh::LoadTime;
use crate::error::InvalidCache;
use crate::feed::{EventBuffer, Feed};
use crate::health::Health;
use crate::incarnation::IncarnationRecord;
use crate::invalidate::Invalidator;
use crate::invalidate::{Invalidated, Invalidation};
use crate::keyspace::Keyspace;
use crate::keyspace::Tag;
use crate::memory::{Memory, MemoryStore};
use crate::names::is_valid_name;
use crate::near::NearMemory;
use crate::near_cache::NearCache;
use crate::outcome::Observer;
use crate::pending::PendingInvalidations;
use crate::policy::{Near, Policy};
use crate::redis::{ConnectError, RedisStore, Tracking};
use crate::retry::run_retries;
use crate::settings::{CacheSettings, check_near_bound};
use crate::single_flight::SingleFlight;
use crate::store::Store;
use crate::sweep::run_sweep;
use crate::values::Values;

/// A client for one keyspace in Redis. Cheap to clone.
///
/// Its background tasks and its connections end with [`shutdown`](Self::shutdown), or when the last clone and the last
/// [`Cache`] made from it are dropped. Only the first one waits for what is in flight.
#[derive(Clone, Debug)]
pub struct CacheClient {
    pub(crate) shared: Arc<Shared>,
    /// Tasks that run until the client stops. They outlive the other tasks, which may need them.
    background: TaskTracker,
    stop: CancellationToken,
}

impl CacheClient {
    /// Connects to Redis with the default settings. All keys begin with the name of the keyspace: `blog:…`. On a
    /// cluster, the keyspace has 16 partitions.
    ///
    /// # Errors
    /// Returns an error when the name is not valid, and the errors of [`connect_with`](Self::connect_with).
    pub async fn connect(url: &str, keyspace: &str) -> Result<Self, ConnectError> {
        let settings = CacheSettings { url: url.to_owned(), ..CacheSettings::default() };
        Self::connect_with(Keyspace::for_redis(keyspace, &RedisAddress::parse(url)?)?, &settings).await
    }

    /// Connects to Redis, checks that the server is safe to use, and starts the background tasks on the current
    /// runtime.
    ///
    /// If Redis does not answer within 2 s, this is no error: the client starts without it and uses it as soon as it
    /// answers.
    ///
    /// # Errors
    /// Returns an error when the address of Redis or a setting cannot be used, and when the server is too old, refuses the
    /// login, may evict the fence table or needs other partitions; see [`ConnectError`].
    pub async fn connect_with(keyspace: Keyspace, settings: &CacheSettings) -> Result<Self, ConnectError> {
        Self::connect_to(keyspace, settings, None).await
    }

    /// Does the same as [`connect_with`](Self::connect_with), and uses only the Redis that `record` trusts. So a failover
    /// to a replica that has missed an invalidation makes no read stale. All processes of the keyspace must do this.
    ///
    /// After a failover or a restart of Redis, and when the record is new, the processes do not use Redis for a little more
    /// than two seconds. They do not use it either while the record cannot be read.
    ///
    /// # Errors
    /// Returns the errors of [`connect_with`](Self::connect_with).
    pub async fn connect_trusting(
        keyspace: Keyspace, settings: &CacheSettings, record: Arc<dyn IncarnationRecord>,
    ) -> Result<Self, ConnectError> {
        Self::connect_to(keyspace, settings, Some(record)).await
    }

    async fn connect_to(
        keyspace: Keyspace, settings: &CacheSettings, record: Option<Arc<dyn IncarnationRecord>>,
    ) -> Result<Self, ConnectError> {
        if let Some(mistake) = settings.mistake() {
            return Err(ConnectError::Settings(mistake));
        }
        let near_bound = settings.near_bound.filter(|bound| !bound.is_zero());
        if near_bound.is_some() && RedisAddress::parse(&settings.url)?.is_cluster() {
            return Err(ConnectError::NearOnCluster);
        }
        let redis = Arc::new(RedisStore::open(keyspace, settings, record).await?);
        let (near, tracking) = match near_bound {
            Some(bound) => {
                let memory = NearMemory::new(settings.near_weight);
                let (tracking, task) = Tracking::new(&redis, &memory);
                let (store, read_timeout) = (Arc::clone(&redis), settings.command_timeout);
                (Some(Arc::new(NearCache { store, memory, tracking, bound, read_timeout })), Some(task))
            }
            None => (None, None),
        };
        let client = Self::of(Store::in_redis(&redis), near, settings);
        if let Some(tracking) = tracking {
            client.spawn_until_stopped(tracking.run());
        }
        Ok(client)
    }

    /// Creates a client whose entries are in `memory`, with the default settings. Its background tasks run on the current
    /// runtime.
    ///
    /// # Panics
    /// Panics outside of a Tokio runtime.
    pub fn in_memory(keyspace: Keyspace, memory: &Memory) -> Self {
        Self::in_memory_with(keyspace, memory, &CacheSettings::default())
    }

    /// Creates a client whose entries are in `memory`. It uses only some of the settings: the limits of loads, the
    /// pause of the sweep, and the command timeout, which matters only if a test slows the memory down. A policy's near
    /// cache is ignored, because the entries are in memory anyway.
    ///
    /// # Panics
    /// Panics outside of a Tokio runtime, and if a setting cannot work.
    pub fn in_memory_with(keyspace: Keyspace, memory: &Memory, settings: &CacheSettings) -> Self {
        if let Some(mistake) = settings.mistake() {
            panic!("{mistake}");
        }
        // Partitions distribute keys over the servers of a cluster. A memory needs only one.
        let keyspace = keyspace.in_one_partition();
        let store = MemoryStore::new(memory, keyspace.name(), settings.command_timeout);
        Self::of(Store::in_memory(keyspace, store), None, settings)
    }

    fn of(store: Store, near: Option<Arc<NearCache>>, settings: &CacheSettings) -> Self {
        let (pending, store) =
            (PendingInvalidations::new(store.keyspace.name(), store.keyspace.partitions()), Arc::new(store));
        let clock = Arc::clone(&store);
        let events = Arc::new(EventBuffer::new(move || clock.now_ms()));
        let (tasks, runtime) = (TaskTracker::new(), Handle::current());
        let invalidator = Arc::new(Invalidator {
            store: Arc::clone(&store),
            pending,
            events,
            near,
            tasks: tasks.clone(),
            runtime: runtime.clone(),
        });
        let dropped = CancellationToken::new();
        let stop = dropped.child_token();
        let shared = Arc::new(Shared {
            _dropped: dropped.clone().drop_guard(),
            store,
            invalidator,
            single_flight: SingleFlight::default(),
            refreshing: Arc::default(),
            bulkhead: Arc::new(Bulkhead::new(settings.max_loads, settings.load_queue)),
            tasks,
            runtime,
        });
        let client = Self { shared, background: TaskTracker::new(), stop };
        client.start_background_tasks(settings.sweep_rest);
        client.close_when_dropped(dropped);
        client
    }

    fn start_background_tasks(&self, sweep_rest: Duration) {
        let (store, invalidator) = (&self.shared.store, &self.shared.invalidator);
        let (probed, for_probe) = (Arc::clone(store), Arc::clone(invalidator));
        self.spawn_until_stopped(async move {
            // The client returns no entry until the purge has dropped the keyspace. The purge also removes what a load
            // stored before it. A load that began before the purge and commits after it is refused, because the
            // generation has changed.
            probed.run_probe(&*for_probe).await;
        });
        let for_retries = Arc::clone(invalidator);
        self.spawn_until_stopped(async move { run_retries(&for_retries).await });
        let swept = Arc::clone(store);
        self.spawn_until_stopped(async move { run_sweep(&swept, sweep_rest).await });
    }

    /// Closes the connection when the last clone is dropped; [`shutdown`](Self::shutdown) closes it by itself.
    fn close_when_dropped(&self, dropped: CancellationToken) {
        let (store, near) = (Arc::clone(&self.shared.store), self.shared.invalidator.near.clone());
        let stop = self.stop.clone();
        self.shared.runtime.spawn(async move {
            tokio::select! {
                biased;
                () = dropped.cancelled() => {
                    if let Some(near) = near {
                        near.leave().await;
                    }
                    store.close().await;
                }
                () = stop.cancelled() => {}
            }
        });
    }

    fn spawn_until_stopped(&self, task: impl Future<Output = ()> + Send + 'static) {
        let stop = self.stop.clone();
        let task = async move {
            tokio::select! {
                () = task => {}
                () = stop.cancelled() => {}
            }
        };
        self.background.spawn_on(task, &self.shared.runtime);
    }

    /// Returns the cache `name`, which holds values of type `T` under one policy; its keys read `keyspace:name:…`.
    ///
    /// Its values are stored as JSON. A change of the type after which an old value cannot be decoded needs a
    /// [schema](Self::cache_with).
    ///
    /// # Errors
    /// Returns an error when the policy contradicts itself, or when the name contains a character with a special
    /// meaning in a key.
    pub fn cache<T>(&self, name: &str, policy: Policy) -> Result<Cache<T>, InvalidCache> {
        self.cache_with(name, policy, Values::new())
    }

    /// Returns the cache `name`, whose values are encoded by the codec `C` and stored as `values` says.
    ///
    /// ```
    /// use cache::codec::Json;
    /// use cache::{Cache, CacheClient, Policy, Values};
    /// # #[derive(serde::Serialize, serde::Deserialize)]
    /// # struct Post { title: String }
    /// # fn posts(client: &CacheClient, policy: Policy) -> Result<Cache<Post>, cache::error::InvalidCache> {
    /// let posts: Cache<Post, Json> = client.cache_with("post", policy, Values::new().schema(2).largest(1 << 20))?;
    /// # Ok(posts) }
    /// ```
    ///
    /// # Errors
    /// Returns the errors of [`cache`](Self::cache).
    pub fn cache_with<T, C>(&self, name: &str, policy: Policy, values: Values) -> Result<Cache<T, C>, InvalidCache> {
        policy.validate()?;
        if !is_valid_name(name) {
            return Err(InvalidCache::Name(name.to_owned()));
        }
        let near = self.near(policy.near)?;
        let observer = Observer::new(self.keyspace().name(), name, Arc::clone(&self.shared.invalidator.events));
        let definition = Arc::new(Definition {
            name: name.to_owned(),
            policy,
            values,
            near,
            observer,
            load_time: LoadTime::default(),
        });
        let shared = Arc::clone(&self.shared);
        Ok(Cache::of(Region { shared, definition, member: None, requirement: None, undecodable: None }))
    }

    fn near(&self, near: Near) -> Result<Option<Arc<NearCache>>, InvalidCache> {
        let Some(bound) = near.bound().filter(|_| !self.shared.store.is_memory()) else { return Ok(None) };
        let cache = self.shared.invalidator.near.as_ref();
        check_near_bound(bound, cache.map(|cache| cache.bound))?;
        Ok(cache.inspect(|cache| cache.memory.serve(near)).map(Arc::clone))
    }

    /// Returns the keyspace, for parsing keys that come from outside.
    pub fn keyspace(&self) -> &Keyspace {
        &self.shared.store.keyspace
    }

    /// Returns the feed of events on entries.
    pub fn feed(&self) -> Feed {
        Feed::new(Arc::clone(&self.shared.invalidator.events), self.stop.clone())
    }

    /// Invalidates entries, and returns when the invalidation is done everywhere or deferred. Call it after COMMIT.
    ///
    /// It runs in its own task: once the returned future has been polled, dropping it stops nothing.
    pub async fn invalidate(&self, invalidation: Invalidation) -> Invalidated {
        self.shared.invalidator.invalidate(invalidation.within(self.keyspace())).await
    }

    /// Invalidates every entry that carries `tag`, in all caches of the keyspace. Call it after COMMIT.
    ///
    /// It runs in its own task: once the returned future has been polled, dropping it stops nothing.
    pub async fn invalidate_tag(&self, tag: Tag) -> Invalidated {
        self.invalidate(Invalidation::hard().tag(tag)).await
    }

    /// Invalidates at once, and again after `commit_bound`, for a write that may or may not be committed, because its
    /// COMMIT was not answered.
    ///
    /// `commit_bound` is the longest time for which a COMMIT can still take effect after its connection is lost. The
    /// returned future waits only for the first invalidation, and returns its result. Both run in their own tasks: once
    /// the future has been polled, dropping it stops nothing. A graceful shutdown waits for the second one within its
    /// grace period.
    pub async fn invalidate_in_doubt(&self, invalidation: Invalidation, commit_bound: Duration) -> Invalidated {
        let invalidation = invalidation.within(self.keyspace());
        self.shared.invalidator.invalidate_in_doubt(invalidation, commit_bound).await
    }

    /// Removes every entry of the keyspace, for a consumer that missed changes.
    pub async fn purge(&self) -> Invalidated {
        self.shared.invalidator.purge().await
    }

    /// Returns whether Redis is in use now, and what is wrong with it.
    pub fn health(&self) -> Health {
        self.shared.store.health()
    }

    /// Returns how many keys and tags have a deferred invalidation; a deferred purge counts as one.
    pub fn pending_invalidations(&self) -> usize {
        self.shared.invalidator.pending.len()
    }

    /// Returns the weight of the entries in the memory of this process, in bytes.
    pub fn near_weight(&self) -> u64 {
        self.shared.invalidator.near.as_ref().map_or(0, |near| near.memory.weight())
    }

    /// Shuts the client down and returns how many keys and tags are still to be invalidated.
    ///
    /// It waits for the loads and invalidations in flight, retries the deferred invalidations until Redis has carried
    /// them out, and closes the connection. It takes `grace` at most. A deferred invalidation exists only in the memory
    /// of the process, so a caller that must not lose it needs a log of its own (an outbox).
    pub async fn shutdown(&self, grace: Duration) -> usize {
        let Shared { store, invalidator, tasks, .. } = &*self.shared;
        tasks.close();
        let drained = async {
            // In this order, because a task in flight may defer an invalidation. The probe and the retries still run.
            tasks.wait().await;
            invalidator.pending.wait_until_empty().await;
        };
        let _ = timeout(grace, drained).await;
        self.stop.cancel();
        self.background.close();
        self.background.wait().await;
        if let Some(near) = &invalidator.near {
            near.leave().await;
        }
        store.close().await;
        invalidator.pending.len()
    }
}
