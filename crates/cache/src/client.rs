//! The cache of one service: its connection, its tasks, and the lanes made from it.

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

/// A keyspace in Redis, and this process' way to it. Cheap to clone.
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
    /// That entries of another version of the program are found.
    pub(crate) unreadable: RecurringFailure,
    pub(crate) events: EventBuffer,
    pub(crate) stop: CancellationToken,
    /// Loads, refreshes and invalidations.
    tasks: TaskTracker,
    /// The tasks that run until the cache stops: they outlive the others, which may need them.
    background: TaskTracker,
    runtime: Handle,
}

impl CacheClient {
    /// Connects, checks that the server is safe to use, and starts the background tasks on the current runtime.
    ///
    /// A Redis that does not answer within 2 s is no error: the cache starts without it and picks it up later.
    ///
    /// # Errors
    /// When the URL cannot be used, or the server is too old, refuses the login or may evict the fence table.
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
            // Until it is dropped, nothing is read; what a load stored before that goes with it, and what it stores later is
            // refused, because the generation is another one.
            let on_server_replaced = || for_probe.pending.add_everything();
            for_probe.store.connection.run_probe(on_server_replaced).await;
        });
        inner.spawn_until_stopped(async move { for_pending.run_pending().await });
        let rest = settings.sweep_rest;
        inner.spawn_until_stopped(async move { for_sweep.run_sweep(rest).await });
        Ok(Self { inner })
    }

    /// Entries of one kind under one policy; their keys read `keyspace:name:…`.
    ///
    /// # Errors
    /// When the policy contradicts itself, or the name has a character that means something in a key.
    pub fn cache(&self, name: &str, policy: Policy) -> Result<Cache, PolicyError> {
        policy.validate()?;
        if !is_valid_name(name) {
            return Err(PolicyError::CacheName(name.to_owned()));
        }
        let metrics = Metrics::new(self.inner.keyspace.name(), name);
        let definition = Arc::new(CacheDefinition { name: name.into(), policy, metrics });
        Ok(Cache { inner: Arc::clone(&self.inner), definition, member: None })
    }

    /// The keyspace, for parsing keys that come from outside.
    pub fn keyspace(&self) -> &Keyspace {
        &self.inner.keyspace
    }

    /// Whether Redis is in use just now, and what is wrong with it.
    pub fn health(&self) -> Health {
        self.inner.store.connection.health()
    }

    /// How many invalidations wait for Redis to come back.
    pub fn pending_invalidations(&self) -> usize {
        self.inner.pending.len()
    }

    /// Stops the cache: waits for the loads and invalidations under way, repeats the deferred invalidations until Redis has
    /// carried them out, then closes the connection.
    ///
    /// Takes `grace` at most. Returns how many keys and tags are still to be invalidated then: an invalidation that is
    /// deferred lives only as long as the process, so a caller that must not lose it needs a log of its own (an outbox).
    pub async fn shutdown(&self, grace: Duration) -> usize {
        let inner = &self.inner;
        inner.tasks.close();
        let drained = async {
            // In this order: what is under way may be deferred. The probe and the repairs still run.
            inner.tasks.wait().await;
            inner.pending.wait_until_empty().await;
        };
        let _ = timeout(grace, drained).await;
        inner.stop.cancel();
        inner.background.close();
        inner.background.wait().await;
        // The server notices a dropped connection as well.
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
    /// Starts a task that outlives its caller, on the runtime that the cache was made on.
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
