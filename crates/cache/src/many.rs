//! Several entries at once: one call of the loader for all that are missing.
//!
//! ```text
//!        ┌─ hit 1
//! MGET ──┼─ acquire 2 ─┐
//!        └─ acquire 3 ─┴─ load [2, 3] ─┬─ commit 2
//!                                      └─ commit 3
//! ```
//!
//! Each entry keeps its own lease, its own single-flight load and its own result. The lookups of a batch are one round
//! trip, and so are its leases and its fills. The [`Batch`] decides which loads belong to the call: it waits until each
//! missing entry has begun its load, or waits for another reader.

use std::collections::HashMap;
use std::error::Error;
use std::fmt::Display;
use std::future::Future;
use std::hash::Hash;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared, join_all};
use tokio::time::timeout;
use tokio_util::task::AbortOnDropHandle;
use tracing::Instrument;

use crate::batch::Batch;
use crate::bulkhead::LoadPermit;
use crate::cache::{Cache, Definition, Lookup};
use crate::codec::{CodecError, Decode, Json};
use crate::entry::{Cached, CachedEntry};
use crate::error::{GetError, LoadError};
use crate::invalidate::{Invalidated, Invalidation};
use crate::keyspace::Key;
use crate::loader::{Content, LazyLoader, Loader, NewEntry, SharedLoader};
use crate::outcome::Outcome;
use crate::policy::EarlyRefresh;

/// The id of an entry of a batch.
pub trait BatchId: Display + Clone + Eq + Hash + Send + Sync + 'static {}

impl<I: Display + Clone + Eq + Hash + Send + Sync + 'static> BatchId for I {}

/// A function that loads several entries: it receives ids, and its future returns a `HashMap` with a [`NewEntry`] for each
/// object that exists.
pub trait BatchLoader<I, T, C = Json>: Send + Sync + 'static {
    #[doc(hidden)]
    fn load(&self, ids: Vec<I>) -> Loading<I>;
}

impl<I, T, C, L, F, E> BatchLoader<I, T, C> for L
where
    I: BatchId,
    L: Fn(Vec<I>) -> F + Send + Sync + 'static,
    F: Future<Output = Result<HashMap<I, NewEntry<T, C>>, E>> + Send + 'static,
    E: Error + Send + Sync + 'static,
{
    fn load(&self, ids: Vec<I>) -> Loading<I> {
        let loading = self(ids);
        Loading(Box::pin(async move {
            let entries = loading.await.map_err(|error| LoadError::Loader(Arc::new(error)))?;
            Ok(entries.into_iter().map(|(id, entry)| (id, entry.into_content())).collect())
        }))
    }
}

/// A call of a [`BatchLoader`] in progress.
#[doc(hidden)]
pub struct Loading<I>(Pin<Box<dyn Future<Output = Loaded<I>> + Send>>);

impl<T, C> Cache<T, C> {
    /// Returns the values in the order of `ids`; those that are missing are loaded by one call of `load`, and stored.
    ///
    /// Like [`read_many`](Self::read_many), with decoded values. `None`: the object does not exist.
    pub async fn get_or_load_many<I: BatchId>(
        &self, ids: impl IntoIterator<Item = I>, load: impl BatchLoader<I, T, C>,
    ) -> Vec<Result<Option<T>, GetError>>
    where
        C: Decode<T>,
    {
        let call = Arc::new(Call::new(self, load));
        let decoded = |cached| {
            let cached = Cached::<T, C>::new(cached);
            match cached.decoded() {
                Ok(Ok(value)) => Ok(Ok(value)),
                _ => Err(Box::new(cached.entry)),
            }
        };
        let (results, others) = self.hits(&call.batch, ids, decoded).await;
        let read = async |Unserved { number, cache, id, key, found }: Unserved<Self, I>| {
            (number, cache.decode_or_load(&key, found, LazyLoader::new(call.loader(id))).await)
        };
        merged(results, join_all(others.into_iter().map(read)).await)
    }

    /// Returns the entries in the order of `ids`; those that are missing are loaded by one call of `load`, and stored.
    ///
    /// `load` receives the ids of the missing entries. It returns a [`NewEntry`] for each object that exists: an id that it
    /// leaves out is stored as a negative entry. Everything else is as in [`read`](Self::read), for each entry by itself:
    /// one may fail while the others are returned. `load` is called again, with the single id, for an entry whose load
    /// begins after the call: one that another reader was loading and could not store, or a stale one that is refreshed in the
    /// background.
    ///
    /// Values share the buffers, of 64 KiB and more, in which they arrived. Copy a value that is kept for long.
    pub async fn read_many<I: BatchId>(
        &self, ids: impl IntoIterator<Item = I>, load: impl BatchLoader<I, T, C>,
    ) -> Vec<Result<Cached<T, C>, LoadError>> {
        let call = Arc::new(Call::new(self, load));
        let (results, others) = self.hits(&call.batch, ids, |cached| Ok(Ok(Cached::new(cached)))).await;
        let read = async |Unserved { number, cache, id, key, found }: Unserved<Self, I>| {
            let served = cache.region.serve(&key, found, &mut LazyLoader::<T, C, _>::new(call.loader(id))).await;
            (number, served.map(Cached::new))
        };
        merged(results, join_all(others.into_iter().map(read)).await)
    }

    /// Loads the values by one call of `load` and bypasses the cache, as [`load_uncached`](Self::load_uncached) does.
    pub async fn load_many_uncached<I: BatchId>(
        &self, ids: impl IntoIterator<Item = I>, why: &'static str, load: impl BatchLoader<I, T, C>,
    ) -> Vec<Result<Cached<T, C>, LoadError>> {
        let call = Arc::new(Call::new(self, load));
        // All reads are counted before the first one begins.
        let members: Vec<(Self, I)> = ids.into_iter().map(|id| (self.in_batch(&call.batch), id)).collect();
        let read = async |(cache, id): (Self, I)| cache.load_uncached(id.clone(), why, call.loader(id)).await;
        join_all(members.into_iter().map(read)).await
    }

    /// Removes several entries. Call it after COMMIT.
    ///
    /// It runs in its own task: once the returned future has been polled, dropping it stops nothing.
    pub async fn invalidate_many<I: Display>(&self, ids: impl IntoIterator<Item = I>) -> Invalidated {
        let names = ids.into_iter().fold(Invalidation::hard(), |names, id| names.key(self.key(id)));
        self.region.shared.invalidator.invalidate(names).await
    }

    /// Looks up all entries together. Returns a result for each hit that `serve` does not give back, and the other entries:
    /// these are members of the batch before the first one of them begins a load.
    async fn hits<I: BatchId, R>(
        &self, batch: &Batch, ids: impl IntoIterator<Item = I>,
        serve: impl Fn(CachedEntry) -> Result<R, Box<CachedEntry>>,
    ) -> (Vec<Option<R>>, Vec<Unserved<Self, I>>) {
        let Definition { policy, observer, .. } = &*self.region.definition;
        let ids: Vec<I> = ids.into_iter().collect();
        let keys: Vec<Key> = ids.iter().map(|id| self.key(id)).collect();
        let (mut results, mut others) = (Vec::with_capacity(ids.len()), Vec::new());
        for (number, (found, (id, key))) in
            self.region.lookup_many(&keys).await.zip(ids.into_iter().zip(&keys)).enumerate()
        {
            let found = match found {
                // A refresh is a load that belongs to the batch.
                Lookup::Found(cached)
                    if cached.outcome != Outcome::Stale && policy.early_refresh == EarlyRefresh::Off =>
                {
                    let (outcome, version, ttl_ms) = (cached.outcome, cached.version, cached.ttl_ms);
                    match serve(cached) {
                        Ok(result) => {
                            observer.found(key, outcome, version, ttl_ms);
                            observer.observe(key, outcome);
                            results.push(Some(result));
                            continue;
                        }
                        Err(cached) => Lookup::Found(*cached),
                    }
                }
                found => found,
            };
            results.push(None);
            others.push(Unserved { number, cache: self.in_batch(batch), id, key: key.clone(), found });
        }
        (results, others)
    }
}

/// An entry of a batch that is no hit, or needs more than its lookup.
struct Unserved<C, I> {
    /// Its place in the batch.
    number: usize,
    cache: C,
    id: I,
    key: Key,
    found: Lookup,
}

/// Returns the results of a batch, in its order.
fn merged<R>(mut results: Vec<Option<R>>, others: Vec<(usize, R)>) -> Vec<R> {
    for (number, result) in others {
        results[number] = Some(result);
    }
    results.into_iter().map(|result| result.expect("each entry has a result")).collect()
}

/// What the call of a loader returned.
type Loaded<I> = Result<HashMap<I, Result<Content, CodecError>>, LoadError>;

/// One call of a loader, for all reads of a batch that have something to load.
struct Call<I> {
    batch: Batch,
    stage: Mutex<Stage<I>>,
    /// The time limit of the call.
    limit: Duration,
    load: Arc<dyn Fn(Vec<I>) -> Loading<I> + Send + Sync>,
}

/// Whether the call was made.
enum Stage<I> {
    /// With the ids that it will have.
    Gathering(Vec<I>),
    /// Ids that are added from now on are loaded one by one.
    Made(MadeCall<I>),
}

/// A call in progress, which every load of the batch waits for.
type MadeCall<I> = Shared<BoxFuture<'static, Arc<Loaded<I>>>>;

/// The loader of one entry of a batch.
struct EntryLoader<I> {
    call: Arc<Call<I>>,
    id: I,
}

impl<I: BatchId> Call<I> {
    fn new<T, C>(cache: &Cache<T, C>, load: impl BatchLoader<I, T, C>) -> Self {
        let limit = cache.region.definition.policy.effective_load_timeout();
        let load = Arc::new(move |ids| load.load(ids));
        Self { batch: Batch::new(), stage: Mutex::new(Stage::Gathering(Vec::new())), limit, load }
    }

    fn loader(self: &Arc<Self>, id: I) -> EntryLoader<I> {
        EntryLoader { call: Arc::clone(self), id }
    }

    /// Adds an id to the call. Returns whether the call will have it.
    fn add(&self, id: &I) -> bool {
        match &mut *self.stage.lock().unwrap_or_else(PoisonError::into_inner) {
            Stage::Gathering(ids) => ids.push(id.clone()),
            Stage::Made(_) => return false,
        }
        true
    }

    async fn content(&self, id: &I, is_asked: bool) -> Result<Content, LoadError> {
        if !is_asked {
            return content_of(&(self.load)(vec![id.clone()]).0.await, id);
        }
        // Before the call, so that nothing is read from the database before each of the loads has begun.
        self.batch.all_started().await;
        content_of(&*self.made().await, id)
    }

    /// Returns the call. The first load of the batch makes it, in a task of its own: if that load times out, the others still
    /// wait for the same call. It runs under the permit of that load, and the others hold none while they wait for it.
    fn made(&self) -> MadeCall<I> {
        let mut stage = self.stage.lock().unwrap_or_else(PoisonError::into_inner);
        let ids = match &mut *stage {
            Stage::Made(call) => {
                LoadPermit::release_current();
                return call.clone();
            }
            Stage::Gathering(ids) => std::mem::take(ids),
        };
        let (load, limit) = (Arc::clone(&self.load), self.limit);
        let loading = async move { timeout(limit, load(ids).0).await.unwrap_or(Err(LoadError::TimedOut(limit))) };
        let loading = LoadPermit::held_by_current(loading).in_current_span();
        let task = AbortOnDropHandle::new(tokio::spawn(loading));
        let call = async {
            Arc::new(match task.await {
                Ok(loaded) => loaded,
                Err(ended) if ended.is_panic() => Err(LoadError::Panicked),
                Err(_) => Err(LoadError::Aborted),
            })
        };
        let call = call.boxed().shared();
        *stage = Stage::Made(call.clone());
        call
    }
}

/// Returns what a call returned for one id.
fn content_of<I: BatchId>(loaded: &Loaded<I>, id: &I) -> Result<Content, LoadError> {
    match loaded.as_ref().map_err(Clone::clone)?.get(id) {
        Some(content) => content.clone().map_err(LoadError::Encode),
        None => Ok(Content::absent()),
    }
}

impl<T, C, I: BatchId> Loader<T, C> for EntryLoader<I> {
    fn share(self) -> SharedLoader {
        let this = Arc::new(self);
        SharedLoader::new(move || {
            let this = Arc::clone(&this);
            // Before the future is polled: the batch counts on it.
            let is_asked = this.call.add(&this.id);
            Box::pin(async move { this.call.content(&this.id, is_asked).await })
        })
    }
}
