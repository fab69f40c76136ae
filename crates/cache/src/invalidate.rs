//! Invalidation: a read that begins after its acknowledgement never returns an older value.
//!
//! Call it after the COMMIT of the database. Removing a key also removes the lease of a load in flight. A tag is fenced
//! first, so the commit of a load that began earlier, and is not in the tag set yet, is refused. If Redis is
//! unavailable, the write has still happened: the invalidation is deferred and retried for as long as this process
//! lives. Until then, this process does not trust the entries ([`Invalidated::Deferred`]).

use futures_util::{StreamExt, TryStreamExt, stream};
use metrics::counter;
use tracing::debug;

use crate::client::{CacheClient, Inner};
use crate::redis::StoreError;
use crate::{CacheEvent, InvalidationRecord, Key, Tag};

/// Concurrent commands of one invalidation.
const MAX_CONCURRENT: usize = 16;
/// Keys in one command at most.
const KEYS: usize = 64;
/// Keys, and tags, that a feed record names at most.
const MAX_NAMES_IN_FEED: usize = 16;

/// The entries to invalidate, and how. Made by [`Invalidation::hard`] or [`Invalidation::soft`].
#[derive(Clone, Debug)]
pub struct Invalidation {
    pub(crate) effect: Mode,
    pub(crate) keys: Vec<Key>,
    pub(crate) keys_before: Vec<(Key, u64)>,
    pub(crate) tags: Vec<Tag>,
}

/// The effect on an invalidated entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Removed,
    Expired,
}

/// A part of an invalidation within one partition.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    Keys(Vec<Key>),
    Older(Vec<(Key, u64)>),
    Tag(u16, Tag),
}

/// The result of an invalidation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a deferred invalidation is not acknowledged: report it to the caller"]
pub enum Invalidated {
    /// Acknowledged: these entries are removed (or marked stale), and no older load can be stored.
    Done {
        /// Number of entries that existed.
        entries: u64,
    },
    /// Redis did not carry it out. This process retries it until it succeeds or the process ends; until then, other
    /// processes may serve the old value.
    Deferred,
}

impl Invalidation {
    /// Creates an invalidation that removes entries: their stored values are never served again.
    pub fn hard() -> Self {
        Self { effect: Mode::Removed, keys: Vec::new(), keys_before: Vec::new(), tags: Vec::new() }
    }

    /// Creates an invalidation that marks entries stale: the next reader still receives the old value, and starts a
    /// refresh.
    pub fn soft() -> Self {
        Self { effect: Mode::Expired, keys: Vec::new(), keys_before: Vec::new(), tags: Vec::new() }
    }

    /// Adds an entry.
    pub fn key(mut self, key: Key) -> Self {
        self.keys.push(key);
        self
    }

    /// Adds an entry that shows one row ([`NewEntry::version`](crate::NewEntry::version)), of which `version` is
    /// committed.
    ///
    /// An entry that shows this version or a later one stays, and a load in flight that returns one is stored. Use it
    /// for a repeated invalidation: the writer itself may already have removed or replaced the entry. An entry with an
    /// older version, or without one, is removed, by a soft invalidation as well.
    pub fn key_older_than(mut self, key: Key, version: u64) -> Self {
        self.keys_before.push((key, version));
        self
    }

    /// Adds a tag, and so every entry that carries it.
    pub fn tag(mut self, tag: Tag) -> Self {
        self.tags.push(tag);
        self
    }

    /// Adds several tags.
    pub fn tags(mut self, tags: impl IntoIterator<Item = Tag>) -> Self {
        self.tags.extend(tags);
        self
    }

    /// Returns the feed record: the first few names, and the number of further ones.
    pub(crate) fn record(&self, entries: Option<u64>) -> InvalidationRecord {
        let named = self.keys.iter().chain(self.keys_before.iter().map(|(key, _)| key));
        let keys: Vec<Key> = named.take(MAX_NAMES_IN_FEED).cloned().collect();
        let tags: Vec<Tag> = self.tags.iter().take(MAX_NAMES_IN_FEED).cloned().collect();
        let more = self.keys.len() + self.keys_before.len() + self.tags.len() - keys.len() - tags.len();
        InvalidationRecord { everything: false, keys, tags, more, soft: self.effect == Mode::Expired, entries }
    }

    fn steps(&self, partitions: u16) -> Vec<Step> {
        let mut steps = Vec::new();
        for partition in 0..partitions {
            let keys: Vec<Key> = self.keys.iter().filter(|key| key.partition() == partition).cloned().collect();
            steps.extend(keys.chunks(KEYS).map(|some| Step::Keys(some.to_vec())));
            let is_here = |(key, _): &&(Key, u64)| key.partition() == partition;
            let keys_before: Vec<(Key, u64)> = self.keys_before.iter().filter(is_here).cloned().collect();
            steps.extend(keys_before.chunks(KEYS).map(|some| Step::Older(some.to_vec())));
            steps.extend(self.tags.iter().map(|tag| Step::Tag(partition, tag.clone())));
        }
        steps
    }
}

impl CacheClient {
    /// Invalidates entries, and returns when the invalidation is done everywhere or deferred.
    ///
    /// It runs in its own task: once the returned future has been polled, dropping it stops nothing.
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
            inner.emit(|| CacheEvent::Invalidate(invalidation.record(done.as_ref().ok().copied())));
            match done {
                Ok(entries) => Invalidated::Done { entries },
                Err(error) => {
                    let (keys, tags) =
                        (invalidation.keys.len() + invalidation.keys_before.len(), invalidation.tags.len());
                    debug!(%error, keys, tags, "an invalidation is deferred");
                    inner.pending.log_deferred(&error);
                    inner.pending.add(invalidation);
                    Invalidated::Deferred
                }
            }
        });
        task.await.unwrap_or(Invalidated::Deferred)
    }

    /// Removes every entry of the keyspace, for a consumer that missed changes.
    pub async fn purge(&self) -> Invalidated {
        let inner = self.inner.clone();
        let task = self.inner.spawn(async move {
            let done = inner.purge().await;
            inner.emit(|| CacheEvent::Invalidate(InvalidationRecord::everything(done.as_ref().ok().copied())));
            match done {
                Ok(entries) => Invalidated::Done { entries },
                Err(error) => {
                    debug!(%error, "an invalidation of the whole keyspace is deferred");
                    inner.pending.log_deferred(&error);
                    inner.pending.add_everything();
                    Invalidated::Deferred
                }
            }
        });
        task.await.unwrap_or(Invalidated::Deferred)
    }
}

impl Inner {
    pub(crate) async fn invalidate(&self, invalidation: &Invalidation) -> Result<u64, StoreError> {
        let steps = invalidation.steps(self.keyspace.partitions());
        // A bounded number at once, because the time limit of a command also runs while it queues.
        let mut done =
            stream::iter(steps).map(|step| self.run_step(invalidation.effect, step)).buffer_unordered(MAX_CONCURRENT);
        let mut total = 0;
        while let Some(entries) = done.try_next().await? {
            total += entries;
        }
        Ok(total)
    }

    async fn run_step(&self, effect: Mode, step: Step) -> Result<u64, StoreError> {
        match (effect, step) {
            (_, Step::Older(entries)) => self.store.remove_older(&entries).await,
            (Mode::Removed, Step::Keys(keys)) => self.store.unlink(&keys).await,
            (Mode::Expired, Step::Keys(keys)) => self.store.expire(keys.iter().map(Key::to_string).collect()).await,
            (Mode::Removed, Step::Tag(partition, tag)) => self.store.invalidate_tag(partition, &tag).await,
            (Mode::Expired, Step::Tag(partition, tag)) => self.store.expire_tag(partition, &tag).await,
        }
    }

    /// The generation first: it refuses the loads in flight, so nothing stores again what the scan removes.
    pub(crate) async fn purge(&self) -> Result<u64, StoreError> {
        let mut total = 0;
        for partition in 0..self.keyspace.partitions() {
            self.store.drop_generation(partition).await?;
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
