//! Invalidation: after it is acknowledged, no read that begins returns what was true before.
//!
//! Call it after the COMMIT of the database. Removing a key also removes the lease of a load that is under way; a tag
//! is fenced first, so that a load which began earlier, and is registered nowhere yet, is refused when it wants to
//! store. Where Redis cannot be reached, the write has still happened: the invalidation is deferred, and repeated for as
//! long as this process lives; this process does not trust the entries meanwhile ([`Invalidated::Deferred`]).

use futures_util::{StreamExt, TryStreamExt, stream};
use metrics::counter;
use tracing::debug;

use crate::client::{CacheClient, Inner};
use crate::redis::StoreError;
use crate::{CacheEvent, InvalidationRecord, Key, Tag};

/// Commands of one invalidation that are under way at once.
const MAX_CONCURRENT: usize = 16;
/// Keys that one command names at most.
const KEYS: usize = 64;
/// Keys, and tags, that the feed names.
const MAX_NAMES_IN_FEED: usize = 16;

/// What to invalidate, and how. Made by [`Invalidation::hard`] or [`Invalidation::soft`].
#[derive(Clone, Debug)]
pub struct Invalidation {
    pub(crate) effect: Mode,
    pub(crate) keys: Vec<Key>,
    pub(crate) keys_before: Vec<(Key, u64)>,
    pub(crate) tags: Vec<Tag>,
}

/// What becomes of an invalidated entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Removed,
    Expired,
}

/// A part of an invalidation that one partition does.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    Keys(Vec<Key>),
    Older(Vec<(Key, u64)>),
    Tag(u16, Tag),
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
    /// Redis did not do it. This process repeats it until it succeeds or the process ends; other processes may serve the
    /// old value until then.
    Deferred,
}

impl Invalidation {
    /// Removes entries: what was stored before is never served again.
    pub fn hard() -> Self {
        Self { effect: Mode::Removed, keys: Vec::new(), keys_before: Vec::new(), tags: Vec::new() }
    }

    /// Marks entries stale: the next reader still gets the old value, and starts a refresh.
    pub fn soft() -> Self {
        Self { effect: Mode::Expired, keys: Vec::new(), keys_before: Vec::new(), tags: Vec::new() }
    }

    /// Names an entry.
    pub fn key(mut self, key: Key) -> Self {
        self.keys.push(key);
        self
    }

    /// Names an entry that shows one row ([`NewEntry::version`](crate::NewEntry::version)), of which `version` is committed.
    ///
    /// An entry that shows this version or a later one stays, and a load under way that brings one is stored: for a
    /// repeated invalidation, which comes when the writer itself may already have removed or replaced the entry. What
    /// shows an older version, or none, is removed, by a soft invalidation as well.
    pub fn key_older_than(mut self, key: Key, version: u64) -> Self {
        self.keys_before.push((key, version));
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

    /// What the feed says of it: the first few names, and how many more.
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
    /// Invalidates, and returns when it is done everywhere or deferred.
    ///
    /// It runs in a task of its own: once the returned future has been polled, dropping it stops nothing.
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

    /// Removes every entry of the keyspace: for a consumer that lost track of what changed.
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
        // A bounded number at once: each has a time limit, which runs while it queues.
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

    /// The generation first: a load under way is refused, so what the scan removes does not come back.
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
