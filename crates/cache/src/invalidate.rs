//! Invalidation: a read that begins after its acknowledgement never returns an older value.
//!
//! It follows the COMMIT of the database. Removing a key also removes the lease of a load in flight. A tag is fenced
//! first, so the commit of a load that began earlier, and is not in the tag set yet, is refused. If Redis is
//! unavailable, the write has still happened: the invalidation is deferred and retried for as long as this process
//! lives. Until then, this process does not trust the entries ([`Invalidated::Deferred`]).

use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt, stream};
use metrics::counter;
use tokio::runtime::Handle;
use tokio::time::sleep;
use tokio_util::task::TaskTracker;
use tracing::debug;

use crate::feed::{CacheEvent, EventBuffer, InvalidationRecord};
use crate::invalidation::{Invalidated, Invalidation, Mode, Step};
use crate::keyspace::Key;
use crate::pending::PendingInvalidations;
use crate::redis::{Store, StoreError};

/// Concurrent commands of one invalidation.
const MAX_CONCURRENT: usize = 16;

#[derive(Debug)]
pub(crate) struct Invalidator {
    pub(crate) store: Arc<Store>,
    pub(crate) pending: PendingInvalidations,
    pub(crate) events: Arc<EventBuffer>,
    pub(crate) tasks: TaskTracker,
    pub(crate) runtime: Handle,
}

impl Invalidator {
    /// Invalidates in a task of its own, and defers what Redis does not carry out.
    pub(crate) async fn invalidate(self: &Arc<Self>, invalidation: Invalidation) -> Invalidated {
        let this = Arc::clone(self);
        let task = async move {
            let done = this.run(&invalidation).await;
            let result = match &done {
                Ok(_) => "done",
                Err(_) => "deferred",
            };
            let keyspace = this.store.keyspace.name().to_owned();
            counter!("cache_invalidations_total", "keyspace" => keyspace, "result" => result).increment(1);
            this.events.emit(|| CacheEvent::Invalidate(invalidation.record(done.as_ref().ok().copied())));
            this.acknowledge(done, |error| {
                let (keys, tags) = invalidation.len();
                debug!(%error, keys, tags, "an invalidation is deferred");
                this.pending.add(invalidation);
            })
        };
        self.tasks.spawn_on(task, &self.runtime).await.unwrap_or(Invalidated::Deferred)
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
    /// The first invalidation removes what an earlier commit has outdated; the second one removes what was stored
    /// before a later commit.
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

    /// Removes every entry of the keyspace, in a task of its own.
    pub(crate) async fn purge(self: &Arc<Self>) -> Invalidated {
        let this = Arc::clone(self);
        let task = async move {
            let done = this.run_purge().await;
            this.events.emit(|| CacheEvent::Invalidate(InvalidationRecord::everything(done.as_ref().ok().copied())));
            this.acknowledge(done, |error| {
                debug!(%error, "an invalidation of the whole keyspace is deferred");
                this.pending.add_everything();
            })
        };
        self.tasks.spawn_on(task, &self.runtime).await.unwrap_or(Invalidated::Deferred)
    }

    fn acknowledge(&self, done: Result<u64, StoreError>, defer: impl FnOnce(&StoreError)) -> Invalidated {
        match done {
            Ok(entries) => Invalidated::Done { entries },
            Err(error) => {
                self.pending.log_deferred(&error);
                defer(&error);
                Invalidated::Deferred
            }
        }
    }

    /// Carries out an invalidation, and returns how many entries existed.
    pub(crate) async fn run(&self, invalidation: &Invalidation) -> Result<u64, StoreError> {
        let steps = invalidation.steps(self.store.keyspace.partitions());
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
    pub(crate) async fn run_purge(&self) -> Result<u64, StoreError> {
        let mut total = 0;
        for partition in 0..self.store.keyspace.partitions() {
            self.store.drop_generation(partition).await?;
            let mut cursor = "0".to_owned();
            loop {
                let (next, names) = self.store.scan(partition, &cursor, 512).await?;
                let keys: Vec<Key> = names.iter().filter_map(|name| self.store.keyspace.parse(name)).collect();
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
