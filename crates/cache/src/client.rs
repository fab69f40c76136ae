//! The cache client of one service: its connection, its background tasks, and the caches made from it.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use fred::interfaces::ClientLike;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::bulkhead::Bulkhead;
use crate::cache::CacheDefinition;
use crate::feed::EventBuffer;
use crate::flight::SingleFlight;
use crate::keyspace::is_valid_name;
use crate::metrics::Metrics;
use crate::pending::PendingInvalidations;
use crate::recurring_failure::RecurringFailure;
use crate::redis::Store;
use crate::refresh::RefreshSet;
use crate::{Cache, CacheSettings, ConnectError, Health, Keyspace, Policy, PolicyError};

/// A client for one keyspace in Redis. Cheap to clone.
#[derive(Clone, Debug)]
pub struct CacheClient {
    pub(crate) inner: Arc<Inner>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) keyspace: Keyspace,
    pub(crate) store: Store,
    pub(crate) single_flight: SingleFlight,
    pub(crate) refreshing: Arc<RefreshSet>,
    pub(crate) bulkhead: Bulkhead,
    pub(crate) pending: PendingInvalidations,
    /// Entries that another version of the program wrote.
    pub(crate) unreadable: RecurringFailure,
    pub(crate) events: EventBuffer,
    pub(crate) stop: CancellationToken,
    /// Loads, refreshes and invalidations.
    tasks: TaskTracker,
    /// Tasks that run until the client stops. They outlive the other tasks, which may need them.
    background: TaskTracker,
    runtime: Handle,
}

impl CacheClient {
    /// Connects to Redis, checks that the server is safe to use, and starts the background tasks on the current
    /// runtime.
    ///
    /// If Redis does not answer within 2 s, this is no error: the client starts without it and uses it as soon as it
    /// answers.
    ///
    /// # Errors
    /// Returns an error when the URL cannot be used, or when the server is too old, refuses the login or may evict the
    /// fence table.
    pub async fn connect(keyspace: Keyspace, settings: &CacheSettings) -> Result<Self, ConnectError> {
        let inner = Arc::new(Inner {
            store: Store::open(keyspace.clone(), settings).await?,
            single_flight: SingleFlight::default(),
            refreshing: Arc::default(),
            bulkhead: Bulkhead::new(settings.max_loads, settings.load_queue),
            pending: PendingInvalidations::new(keyspace.name()),
            unreadable: RecurringFailure::default(),
            events: EventBuffer::new(),
            tasks: TaskTracker::new(),
            background: TaskTracker::new(),
            runtime: Handle::current(),
            stop: CancellationToken::new(),
            keyspace,
        });
        let (for_probe, for_pending, for_sweep) = (Arc::clone(&inner), Arc::clone(&inner), Arc::clone(&inner));
        inner.spawn_until_stopped(async move {
            // The client returns no entry until the purge has dropped the keyspace. The purge also removes what a load
            // stored before it. A load that began before the purge and commits after it is refused, because the
            // generation has changed.
            let on_server_replaced = || for_probe.pending.add_everything();
            for_probe.store.connection.run_probe(on_server_replaced).await;
        });
        inner.spawn_until_stopped(async move { for_pending.run_pending().await });
        let rest = settings.sweep_rest;
        inner.spawn_until_stopped(async move { for_sweep.run_sweep(rest).await });
        Ok(Self { inner })
    }

    /// Returns the cache `name`, which holds entries of one kind under one policy; its keys read `keyspace:name:…`.
    ///
    /// # Errors
    /// Returns an error when the policy contradicts itself, or when the name contains a character with a special
    /// meaning in a key.
    pub fn cache(&self, name: &str, policy: Policy) -> Result<Cache, PolicyError> {
        policy.validate()?;
        if !is_valid_name(name) {
            return Err(PolicyError::CacheName(name.to_owned()));
        }
        let metrics = Metrics::new(self.inner.keyspace.name(), name);
        let definition = Arc::new(CacheDefinition { name: name.into(), policy, metrics });
        Ok(Cache { inner: Arc::clone(&self.inner), definition, member: None })
    }

    /// Returns the keyspace, for parsing keys that come from outside.
    pub fn keyspace(&self) -> &Keyspace {
        &self.inner.keyspace
    }

    /// Returns whether Redis is in use now, and what is wrong with it.
    pub fn health(&self) -> Health {
        self.inner.store.connection.health()
    }

    /// Returns how many keys and tags have a deferred invalidation; a deferred purge counts as one.
    pub fn pending_invalidations(&self) -> usize {
        self.inner.pending.len()
    }

    /// Shuts the client down and returns how many keys and tags are still to be invalidated.
    ///
    /// It waits for the loads and invalidations in flight, retries the deferred invalidations until Redis has carried
    /// them out, and closes the connection. It takes `grace` at most. A deferred invalidation exists only in the memory
    /// of the process, so a caller that must not lose it needs a log of its own (an outbox).
    pub async fn shutdown(&self, grace: Duration) -> usize {
        let inner = &self.inner;
        inner.tasks.close();
        let drained = async {
            // In this order, because a task in flight may defer an invalidation. The probe and `run_pending` still run.
            inner.tasks.wait().await;
            inner.pending.wait_until_empty().await;
        };
        let _ = timeout(grace, drained).await;
        inner.stop.cancel();
        inner.background.close();
        inner.background.wait().await;
        // The server also notices a dropped connection.
        let _ = inner.store.connection.client.quit().await;
        inner.pending.len()
    }
}

impl Cache {
    pub(crate) fn cache(&self) -> CacheClient {
        CacheClient { inner: Arc::clone(&self.inner) }
    }
}

impl Inner {
    /// Starts a task that outlives its caller, on the runtime on which the client was created.
    pub(crate) fn spawn<F>(&self, task: F) -> JoinHandle<F::Output>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        self.tasks.spawn_on(task, &self.runtime)
    }

    fn spawn_until_stopped(&self, task: impl Future<Output = ()> + Send + 'static) {
        let stop = self.stop.clone();
        let task = async move {
            tokio::select! {
                () = task => {}
                () = stop.cancelled() => {}
            }
        };
        self.background.spawn_on(task, &self.runtime);
    }
}
