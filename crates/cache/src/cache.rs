//! A cache: entries of one kind, under one policy.

use std::error::Error;
use std::fmt::Display;
use std::future::Future;
use std::sync::Arc;

use crate::batch::{Batch, BatchMember};
use crate::entry::Cached;
use crate::error::{GetError, LoaderError};
use crate::keyspace::Key;
use crate::new_entry::NewEntry;
use crate::outcome::Bypass;
use crate::policy::Policy;
use crate::region::{Loader, Lookup, Region};
use crate::write_through::{self, WriteLease};

/// Entries of one kind in a keyspace: `product:ttl:*`. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Cache(pub(crate) Region);

impl Cache {
    /// Returns the key of entry `id` in this cache.
    pub fn key(&self, id: impl Display) -> Key {
        self.0.shared.store.keyspace.key(&self.0.definition.name, id)
    }

    /// Returns the policy of this cache.
    pub fn policy(&self) -> &Policy {
        &self.0.definition.policy
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
        let cached = match self.0.lookup(key).await {
            Lookup::Fresh(cached) => cached,
            Lookup::Stale(cached, entry) => {
                self.0.refresh_in_background(key, &entry, loader(load));
                cached
            }
            Lookup::Miss => {
                self.0.definition.observer.missed(key);
                self.0.miss(key, loader(load), None).await?
            }
            Lookup::Bypass(why) => self.0.miss(key, loader(load), Some(why)).await?,
        };
        self.0.definition.observer.observe(key, cached.outcome, cached.version, cached.ttl_ms);
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
        let cached = self.0.miss(key, loader(load), Some(Bypass::Requested(why))).await?;
        self.0.definition.observer.observe(key, cached.outcome, cached.version, cached.ttl_ms);
        Ok(cached)
    }

    /// Returns the entry without loading or refreshing it; `None` when there is no usable entry, or when Redis is
    /// unavailable.
    pub async fn get(&self, key: &Key) -> Option<Cached> {
        match self.0.lookup(key).await {
            Lookup::Fresh(cached) | Lookup::Stale(cached, _) => Some(cached),
            Lookup::Miss | Lookup::Bypass(_) => None,
        }
    }

    /// Returns this cache for one read of `batch`.
    ///
    /// The read counts from this call on. So call this method for all reads before the first read is polled, and drop a
    /// cache that is not used.
    pub fn in_batch(&self, batch: &Batch) -> Self {
        Self(Region { member: Some(BatchMember::of(batch)), ..self.0.clone() })
    }

    /// Takes over the entry's lease for a write. Call it inside the transaction, after the row is locked.
    ///
    /// If Redis does not answer, the lease is empty, and `publish` invalidates the entry.
    pub async fn begin_write(&self, key: &Key) -> WriteLease {
        write_through::begin(&self.0, key).await
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
