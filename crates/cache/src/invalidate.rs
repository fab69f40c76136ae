//! Invalidation: a read that begins after its acknowledgement never returns an older value.
//!
//! It follows the COMMIT of the database. Removing a key also removes the lease of a load in flight. A tag is fenced
//! first, so the commit of a load that began earlier, and is not in the tag set yet, is refused. If Redis is
//! unavailable, the write has still happened: the invalidation is deferred and retried for as long as this process
//! lives. Until then, this process bypasses the entries ([`Invalidated::Deferred`]).

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt, stream};
use metrics::counter;
use tokio::runtime::Handle;
use tokio::time::sleep;
use tokio_util::task::TaskTracker;
use tracing::{Instrument, debug, trace_span};

use crate::error::Deferred;
use crate::feed::{CacheEvent, EventBuffer, InvalidationRecord};
use crate::keyspace::{Key, Keyspace, Tag};
use crate::near_cache::NearCache;
use crate::pending::PendingInvalidations;
use crate::redis::{Step, StoreError};
use crate::store::Store;

/// The maximum number of keys, and of tags, that a feed record names.
const MAX_NAMES_IN_FEED: usize = 16;
/// The maximum number of concurrent commands of one invalidation.
pub(crate) const MAX_CONCURRENT: usize = 16;

/// The entries to invalidate, and how. Made by [`Invalidation::hard`] or [`Invalidation::soft`].
#[derive(Clone, Debug)]
pub struct Invalidation {
    pub(crate) effect: Effect,
    pub(crate) keys: Vec<Key>,
    pub(crate) keys_before: Vec<(Key, u64)>,
    pub(crate) tags: Vec<Tag>,
    /// Lists of at least two tags. An entry is invalidated if it carries all tags of one list.
    pub(crate) intersections: Vec<Vec<Tag>>,
}

/// The effect on an invalidated entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    Removed,
    Expired,
}

/// The result of an invalidation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "the write is committed in either case, but a deferred invalidation is not acknowledged yet: tell the caller"]
pub enum Invalidated {
    /// Redis acknowledged the invalidation: the entries are removed (or marked stale), and no load that began earlier
    /// can be stored.
    Done {
        /// Number of entries that existed.
        entries: u64,
    },
    /// Redis did not acknowledge the invalidation. This process retries it until it succeeds or the process ends; until
    /// then, other processes may serve the old value.
    Deferred,
}

impl Invalidated {
    /// Returns the number of invalidated entries, for a caller that must not continue before the acknowledgement, such
    /// as a consumer that acknowledges an event afterwards.
    ///
    /// # Errors
    /// Returns an error when the invalidation is deferred. The write is committed all the same: do not report this as a
    /// failed write.
    pub fn acknowledged(self) -> Result<u64, Deferred> {
        match self {
            Self::Done { entries } => Ok(entries),
            Self::Deferred => Err(Deferred),
        }
    }
}

impl Invalidation {
    /// Creates an invalidation that removes entries: their stored values are never served again.
    pub fn hard() -> Self {
        Self::new(Effect::Removed)
    }

    /// Creates an invalidation that marks entries stale: the next reader still receives the old value, and starts a
    /// refresh.
    pub fn soft() -> Self {
        Self::new(Effect::Expired)
    }

    fn new(effect: Effect) -> Self {
        Self { effect, keys: Vec::new(), keys_before: Vec::new(), tags: Vec::new(), intersections: Vec::new() }
    }

    /// Adds an entry.
    pub fn key(mut self, key: Key) -> Self {
        self.keys.push(key);
        self
    }

    /// Adds an entry that shows one row, whose `version` is already committed
    /// ([`NewEntry::version`](crate::NewEntry::version)).
    ///
    /// An entry that shows this version or a later one stays, and a load in flight that returns such a version is
    /// stored. Use this for a repeated invalidation: the writer itself may already have removed or replaced the entry.
    /// An entry with an older version, or without one, is removed, by a soft invalidation as well.
    pub fn key_older_than(mut self, key: Key, version: u64) -> Self {
        self.keys_before.push((key, version));
        self
    }

    /// Adds a tag, and so every entry that carries it.
    pub fn tag(mut self, tag: Tag) -> Self {
        self.tags.push(tag);
        self
    }

    /// Adds several tags, and so every entry that carries any of them.
    pub fn tags(mut self, tags: impl IntoIterator<Item = Tag>) -> Self {
        self.tags.extend(tags);
        self
    }

    /// Adds every entry that carries all of these tags. Without tags, it adds nothing.
    ///
    /// It examines every entry that carries the rarest of these tags. While Redis is unavailable, only the invalidation
    /// of the first tag is deferred, which removes all of these entries and possibly more.
    pub fn tags_together(mut self, tags: impl IntoIterator<Item = Tag>) -> Self {
        let tags: Vec<Tag> = tags.into_iter().collect();
        match tags.len() {
            0 | 1 => self.tags.extend(tags),
            _ => self.intersections.push(tags),
        }
        self
    }

    /// Returns the same with the keys of this keyspace; another one may have made them.
    pub(crate) fn within(mut self, keyspace: &Keyspace) -> Self {
        self.keys = self.keys.into_iter().map(|key| keyspace.own(key)).collect();
        self.keys_before = self.keys_before.into_iter().map(|(key, version)| (keyspace.own(key), version)).collect();
        self
    }

    pub(crate) fn len(&self) -> (usize, usize) {
        (self.keys.len() + self.keys_before.len(), self.named_tags().count())
    }

    fn named_tags(&self) -> impl Iterator<Item = &Tag> {
        self.tags.iter().chain(self.intersections.iter().flatten())
    }

    /// Returns the feed record: the first few names, and the number of further ones.
    pub(crate) fn record(&self, entries: Option<u64>) -> InvalidationRecord {
        let keys: Vec<Key> = self.named_keys().take(MAX_NAMES_IN_FEED).cloned().collect();
        let tags: Vec<Tag> = self.named_tags().take(MAX_NAMES_IN_FEED).cloned().collect();
        let (all_keys, all_tags) = self.len();
        let more = all_keys + all_tags - keys.len() - tags.len();
        InvalidationRecord { everything: false, keys, tags, more, soft: self.effect == Effect::Expired, entries }
    }

    fn named_keys(&self) -> impl Iterator<Item = &Key> {
        self.keys.iter().chain(self.keys_before.iter().map(|(key, _)| key))
    }

    /// Returns the keys without their versions, and one tag of each list in `intersections`. An invalidation of these names
    /// removes at least the same entries.
    pub(crate) fn into_names(self) -> (impl Iterator<Item = Key>, Vec<Tag>) {
        let older = self.keys_before.into_iter().map(|(key, _)| key);
        let one_of_each = self.intersections.into_iter().filter_map(|tags| tags.into_iter().next());
        (self.keys.into_iter().chain(older), self.tags.into_iter().chain(one_of_each).collect())
    }

    pub(crate) fn steps(&self, partitions: u16) -> Vec<Step> {
        let mut steps = Vec::new();
        for partition in 0..partitions {
            let keys: Vec<Key> = self.keys.iter().filter(|key| key.partition() == partition).cloned().collect();
            steps.extend(Step::of_keys(&keys));
            let is_here = |(key, _): &&(Key, u64)| key.partition() == partition;
            let keys_before: Vec<(Key, u64)> = self.keys_before.iter().filter(is_here).cloned().collect();
            steps.extend(Step::of_versions(&keys_before));
            steps.extend(Step::of_tags(&self.tags, partition, partitions));
        }
        steps
    }
}

/// Invalidates entries of one keyspace.
#[derive(Debug)]
pub(crate) struct Invalidator {
    pub(crate) store: Arc<Store>,
    pub(crate) pending: PendingInvalidations,
    pub(crate) events: Arc<EventBuffer>,
    /// `None` if no process of the keyspace uses a near cache.
    pub(crate) near: Option<Arc<NearCache>>,
    pub(crate) tasks: TaskTracker,
    pub(crate) runtime: Handle,
}

impl Invalidator {
    /// Invalidates in a task of its own, and defers what Redis does not carry out.
    pub(crate) async fn invalidate(self: &Arc<Self>, invalidation: Invalidation) -> Invalidated {
        let (keys, tags) = invalidation.len();
        let span = trace_span!("cache.invalidate", keyspace = self.store.keyspace.name(), keys, tags);
        let this = Arc::clone(self);
        let task = async move {
            let done = this.run(&invalidation).await;
            let result = match &done {
                Ok(_) => "done",
                Err(_) => "deferred",
            };
            let keyspace = this.store.keyspace.name().to_owned();
            counter!("cache_invalidations_total", "keyspace" => keyspace, "result" => result).increment(1);
            if this.events.has_subscribers.load(Relaxed) {
                this.events.add(CacheEvent::Invalidate(invalidation.record(done.as_ref().ok().copied())));
            }
            this.acknowledge(done, |error| {
                let (keys, tags) = invalidation.len();
                debug!(%error, keys, tags, "an invalidation is deferred");
                let (keys, tags) = invalidation.into_names();
                this.pending.add(keys, tags);
            })
        };
        let done = self.tasks.spawn_on(task.instrument(span), &self.runtime).await;
        done.unwrap_or_else(|_| {
            // A task that has panicked has deferred nothing, and its names are gone with it.
            self.pending.add_everything();
            Invalidated::Deferred
        })
    }

    /// Invalidates at once, and again after `commit_bound`, for a write whose COMMIT was not answered.
    ///
    /// A connection that breaks during COMMIT leaves the write in doubt: it may have been committed, it may have been
    /// rolled back, and it may be committed a little later, because the database has not read the COMMIT yet.
    ///
    /// ```text
    /// writer    COMMIT ──✕ connection lost ─ invalidate ──────────────────── invalidate again
    /// database              ╰──▶ commits (at the latest after `commit_bound`)
    /// reader                          loads the old value, stores it          loads the new value
    /// ```
    ///
    /// If the COMMIT takes effect before the first invalidation, that one removes the old values. If it takes effect
    /// later, the second one removes the old values that were stored before the COMMIT.
    pub(crate) async fn invalidate_in_doubt(
        self: &Arc<Self>, invalidation: Invalidation, commit_bound: Duration,
    ) -> Invalidated {
        let (this, again) = (Arc::clone(self), invalidation.clone());
        let second = async move {
            sleep(commit_bound).await;
            // If Redis does not answer, it is deferred and retried like any other.
            let _ = this.invalidate(again).await;
        };
        self.tasks.spawn_on(second, &self.runtime);
        self.invalidate(invalidation).await
    }

    pub(crate) fn acknowledge(&self, done: Result<u64, StoreError>, defer: impl FnOnce(&StoreError)) -> Invalidated {
        match done {
            Ok(entries) => Invalidated::Done { entries },
            Err(error) => {
                self.pending.log_deferred(&error);
                defer(&error);
                Invalidated::Deferred
            }
        }
    }

    /// Carries out an invalidation in Redis and in the memory of every process, and returns how many entries existed.
    pub(crate) async fn run(&self, invalidation: &Invalidation) -> Result<u64, StoreError> {
        let steps = invalidation.steps(self.store.keyspace.partitions());
        let Some(near) = &self.near else { return self.run_without_near(invalidation, steps).await };
        let keys: Vec<Key> = invalidation.named_keys().cloned().collect();
        // Only Redis knows which entries carry a tag.
        let names_only_keys = invalidation.tags.is_empty() && invalidation.intersections.is_empty();
        let own = names_only_keys.then_some(&*keys);
        near.memory.drop_keys(&keys);
        let is_plain = invalidation.effect == Effect::Removed && invalidation.intersections.is_empty();
        if is_plain && steps.len() <= MAX_CONCURRENT {
            return near.remove(&steps, own).await;
        }
        let entries = self.run_without_near(invalidation, steps).await?;
        near.confirm(None, own).await?;
        Ok(entries)
    }

    /// Waits until no process can return the replaced value of this entry from its memory.
    pub(crate) async fn confirm_replaced(&self, key: &Key) -> Result<(), StoreError> {
        let Some(near) = &self.near else { return Ok(()) };
        near.confirm(None, Some(std::slice::from_ref(key))).await
    }

    /// Waits until no process can return an entry from its memory that Redis no longer has.
    pub(crate) async fn confirm_removed(&self) -> Result<(), StoreError> {
        let Some(near) = &self.near else { return Ok(()) };
        near.confirm(None, None).await
    }

    async fn run_without_near(&self, invalidation: &Invalidation, steps: Vec<Step>) -> Result<u64, StoreError> {
        let mut total = self.run_steps(invalidation.effect, steps).await?;
        for tags in &invalidation.intersections {
            let partitions = stream::iter(0..self.store.keyspace.partitions());
            let run = |partition| self.run_intersection(invalidation.effect, partition, tags);
            let mut done = partitions.map(run).buffer_unordered(MAX_CONCURRENT);
            while let Some(entries) = done.try_next().await? {
                total += entries;
            }
        }
        Ok(total)
    }

    async fn run_steps(&self, effect: Effect, steps: Vec<Step>) -> Result<u64, StoreError> {
        // Runs a bounded number of commands at once, because the timeout of a command also runs while it is queued.
        let mut done = stream::iter(steps).map(|step| self.run_step(effect, step)).buffer_unordered(MAX_CONCURRENT);
        let mut total = 0;
        while let Some(entries) = done.try_next().await? {
            total += entries;
        }
        Ok(total)
    }

    pub(crate) async fn run_step(&self, effect: Effect, step: Step) -> Result<u64, StoreError> {
        match (effect, step) {
            (Effect::Removed, step) | (_, step @ Step::Older(_)) => self.store.remove(&step).await,
            (Effect::Expired, Step::Keys(keys)) => self.store.expire(keys.iter().map(Key::to_string).collect()).await,
            (Effect::Expired, Step::Tags(partition, tags)) => self.store.expire_tags(partition, &tags).await,
        }
    }
}
