//! Invalidation: after it is acknowledged, no read that begins returns what was true before.
//!
//! Call it after the COMMIT of the database. Removing a key also removes the lease of a load that is under way; a tag
//! is fenced first, so that a load which began earlier, and is registered nowhere yet, is refused when it wants to
//! store. Where Redis cannot be reached, the write has still happened: the invalidation is kept and repeated until
//! it succeeds, and this process does not trust the entries meanwhile ([`Invalidated::Deferred`]).

use futures_util::future::{try_join, try_join_all};
use metrics::counter;
use tracing::warn;

use crate::cache::{Cache, Inner};
use crate::redis::StoreError;
use crate::{Key, Tag};

/// What to invalidate, and how. Made by [`Invalidation::hard`] or [`Invalidation::soft`].
#[derive(Clone, Debug)]
pub struct Invalidation {
    pub(crate) effect: Effect,
    pub(crate) keys: Vec<Key>,
    pub(crate) tags: Vec<Tag>,
}

/// What becomes of an invalidated entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    Removed,
    Expired,
}

/// How far an invalidation got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a deferred invalidation is not acknowledged: say so to who asked"]
pub enum Invalidated {
    /// Acknowledged: this many entries are gone (or marked stale), and no older load can be stored.
    Done {
        /// How many entries there were.
        entries: u64,
    },
    /// Redis did not do it. It is repeated until it succeeds; other processes may serve the old value until then.
    Deferred,
}

impl Invalidation {
    /// Removes entries: what was stored before is never served again.
    pub fn hard() -> Self {
        Self { effect: Effect::Removed, keys: Vec::new(), tags: Vec::new() }
    }

    /// Marks entries stale: the next reader still gets the old value, and starts a refresh.
    pub fn soft() -> Self {
        Self { effect: Effect::Expired, keys: Vec::new(), tags: Vec::new() }
    }

    /// Names an entry.
    pub fn key(mut self, key: Key) -> Self {
        self.keys.push(key);
        self
    }

    /// Names a tag: every entry that carries it.
    pub fn tag(mut self, tag: Tag) -> Self {
        self.tags.push(tag);
        self
    }

    /// Names several tags.
    pub fn tags(mut self, tags: impl IntoIterator<Item = Tag>) -> Self {
        self.tags.extend(tags);
        self
    }
}

impl Cache {
    /// Invalidates, and returns when it is done everywhere or kept for repair.
    ///
    /// It runs in a task of its own: once this is called, it is carried out even if the returned future is dropped.
    pub async fn invalidate(&self, invalidation: Invalidation) -> Invalidated {
        let inner = self.inner.clone();
        let task = self.inner.spawn(async move {
            let done = inner.invalidate(&invalidation).await;
            let result = match &done {
                Ok(_) => "done",
                Err(_) => "deferred",
            };
            counter!("cache_invalidations_total", "keyspace" => inner.keyspace.name().to_owned(), "result" => result)
                .increment(1);
            match done {
                Ok(entries) => Invalidated::Done { entries },
                Err(error) => {
                    warn!(%error, ?invalidation, "an invalidation is kept for repair");
                    inner.repairs.add(invalidation);
                    Invalidated::Deferred
                }
            }
        });
        task.await.unwrap_or(Invalidated::Deferred)
    }

    /// Removes every entry of the keyspace: for a consumer that lost track of what changed.
    pub async fn invalidate_all(&self) -> Invalidated {
        let inner = self.inner.clone();
        let task = self.inner.spawn(async move {
            match inner.invalidate_all().await {
                Ok(entries) => Invalidated::Done { entries },
                Err(error) => {
                    warn!(%error, "an invalidation of the whole keyspace is kept for repair");
                    inner.repairs.add_everything();
                    Invalidated::Deferred
                }
            }
        });
        task.await.unwrap_or(Invalidated::Deferred)
    }
}

impl Inner {
    pub(crate) async fn invalidate(&self, invalidation: &Invalidation) -> Result<u64, StoreError> {
        let partitions = 0..self.keyspace.partitions();
        let keys = partitions.clone().filter_map(|partition| {
            let of_partition = |key: &&Key| key.partition() == partition;
            let keys: Vec<Key> = invalidation.keys.iter().filter(of_partition).cloned().collect();
            (!keys.is_empty()).then(|| self.invalidate_keys(invalidation.effect, keys))
        });
        let tags = invalidation.tags.iter().flat_map(|tag| {
            partitions.clone().map(move |partition| self.invalidate_tag(invalidation.effect, partition, tag))
        });
        let (keys, tags) = try_join(try_join_all(keys), try_join_all(tags)).await?;
        Ok(keys.into_iter().chain(tags).sum())
    }

    async fn invalidate_keys(&self, effect: Effect, keys: Vec<Key>) -> Result<u64, StoreError> {
        match effect {
            Effect::Removed => self.store.unlink(&keys).await,
            Effect::Expired => self.store.soften(keys.iter().map(Key::to_string).collect()).await,
        }
    }

    async fn invalidate_tag(&self, effect: Effect, partition: u16, tag: &Tag) -> Result<u64, StoreError> {
        match effect {
            Effect::Removed => self.store.invalidate_tag(partition, tag).await,
            Effect::Expired => self.store.soften_tag(partition, tag).await,
        }
    }

    /// The new generation first: a load under way is refused, so what the scan removes does not come back.
    pub(crate) async fn invalidate_all(&self) -> Result<u64, StoreError> {
        let mut total = 0;
        for partition in 0..self.keyspace.partitions() {
            self.store.renew_generation(partition).await?;
            let mut cursor = "0".to_owned();
            loop {
                let (next, names) = self.store.scan(partition, &cursor, 512).await?;
                let keys: Vec<Key> = names.iter().filter_map(|name| self.keyspace.parse(name)).collect();
                if !keys.is_empty() {
                    total += self.store.unlink(&keys).await?;
                }
                if next == "0" {
                    break;
                }
                cursor = next;
            }
        }
        Ok(total)
    }
}
