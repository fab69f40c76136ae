//! Write guard: prevents stale reads from the COMMIT on, and not only from the acknowledgement of the invalidation on.
//!
//! An invalidation follows the COMMIT, so a read between the two may return the old value. If the writer is killed
//! between the two, reads may do so until a log repeats the invalidation. A guard closes this gap: before COMMIT, it
//! removes the entries and lets Redis refuse every fill of them.
//!
//! ```text
//! BEGIN ─ UPDATE … (row lock) ─ guard (refuses fills, invalidates) ─ COMMIT ─ release (invalidates, allows fills)
//!                               ╰── reads load from the database, and store nothing ──╯
//! ```
//!
//! A guard has an end, in case its writer dies. Place it last in the transaction: its lease must be longer than the
//! time for which the transaction can still be committed, counted from the call of [`CacheClient::guard`]. The database
//! must enforce that limit, because the writer may be frozen: in Postgres, by `idle_in_transaction_session_timeout` and
//! `statement_timeout`.
//!
//! The promise of [`CacheClient::invalidate`] does not depend on guards. If Redis does not place a guard, or loses it, the
//! write goes on as without one, and [`Released::guarded`] says so.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt, stream};
use metrics::counter;
use tracing::debug;

use crate::client::CacheClient;
use crate::feed::CacheEvent;
use crate::invalidate::{Invalidated, Invalidation, Invalidator};
use crate::redis::{GuardMembers, StoreError};

/// Partitions in which a guard is placed at once.
const MAX_CONCURRENT: usize = 16;

/// A guard on keys and tags, held from before the COMMIT of a write until after it.
///
/// If it is dropped without [`release`](Self::release), it stays until its lease is over. That is right for a write whose
/// COMMIT was not answered: invalidate it by [`CacheClient::invalidate_in_doubt`].
#[derive(Debug)]
#[must_use = "a guard that is not released refuses fills until its lease is over"]
pub struct WriteGuard {
    invalidator: Arc<Invalidator>,
    invalidation: Invalidation,
    parts: Vec<GuardMembers>,
    in_place: bool,
}

/// The result of releasing a guard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "the invalidation may be deferred, and the guard may not have been in place: report it to the caller"]
pub struct Released {
    /// The result of the invalidation after COMMIT.
    pub invalidated: Invalidated,
    /// Whether the guard was in place from before COMMIT until the invalidation was acknowledged: no read that began
    /// after COMMIT has returned the old value.
    pub guarded: bool,
}

impl CacheClient {
    /// Removes entries before COMMIT, and refuses fills of them until the guard is released, or `lease` is over.
    ///
    /// Call it inside the transaction, as its last step. `invalidation` names what the write outdates, as for
    /// [`invalidate`](Self::invalidate); entries are removed even if it is soft. Guards are independent of each other:
    /// two writers can guard the same names.
    ///
    /// Without Redis, it returns a guard that is not [in place](WriteGuard::is_in_place).
    pub async fn guard(&self, invalidation: Invalidation, lease: Duration) -> WriteGuard {
        let invalidator = Arc::clone(&self.shared.invalidator);
        let (keys, tags) = invalidation.within(self.keyspace()).into_names();
        let keys: Vec<_> = keys.collect();
        let parts = GuardMembers::of(&keys, &tags, self.keyspace().partitions());
        let invalidation = keys.into_iter().fold(Invalidation::hard().tags(tags), Invalidation::key);
        let mut guard = WriteGuard { invalidator, invalidation, parts, in_place: false };
        match guard.place(lease).await {
            Ok(()) => guard.in_place = true,
            Err(error) => {
                let (keys, tags) = guard.invalidation.len();
                debug!(%error, keys, tags, "Redis placed no write guard; the write goes on without it");
            }
        }
        guard
    }
}

impl WriteGuard {
    /// Returns whether the entries are removed and fills of them are refused. If not, the write is as safe as without a
    /// guard.
    pub fn is_in_place(&self) -> bool {
        self.in_place
    }

    /// Invalidates, and then allows fills again. Call it after COMMIT, or after a rollback.
    ///
    /// It runs in its own task: once the returned future has been polled, dropping it stops nothing. If Redis does not
    /// acknowledge the invalidation, the guard stays until its lease is over.
    pub async fn release(self) -> Released {
        let (tasks, runtime) = (self.invalidator.tasks.clone(), self.invalidator.runtime.clone());
        let task = async move {
            let invalidated = self.invalidator.invalidate(self.invalidation.clone()).await;
            // After the invalidation: until then, a load that has read the old value could be stored.
            let guarded = match invalidated {
                Invalidated::Done { .. } => self.remove().await && self.in_place,
                Invalidated::Deferred => false,
            };
            let result = if guarded { "kept" } else { "broken" };
            let keyspace = self.invalidator.store.keyspace.name().to_owned();
            counter!("cache_write_guards_total", "keyspace" => keyspace, "result" => result).increment(1);
            Released { invalidated, guarded }
        };
        let lost = Released { invalidated: Invalidated::Deferred, guarded: false };
        tasks.spawn_on(task, &runtime).await.unwrap_or(lost)
    }

    /// Places the guard and then removes the entries, in this order: a load that begins after the removal must not be
    /// stored.
    async fn place(&self, lease: Duration) -> Result<(), StoreError> {
        let store = &self.invalidator.store;
        let placing: Vec<_> = self.parts.iter().map(|part| store.place_guard(part, lease)).collect();
        stream::iter(placing).buffer_unordered(MAX_CONCURRENT).try_collect::<Vec<()>>().await?;
        let removed = self.invalidator.run(&self.invalidation).await?;
        self.invalidator.events.emit(|| CacheEvent::Invalidate(self.invalidation.record(Some(removed))));
        Ok(())
    }

    /// Allows fills again. Returns whether the whole guard was still there: Redis has not lost it, and no fill has
    /// removed it after its end.
    async fn remove(&self) -> bool {
        let store = &self.invalidator.store;
        let removing: Vec<_> = self.parts.iter().map(|part| store.remove_guard(part)).collect();
        let removed: Vec<_> = stream::iter(removing).buffer_unordered(MAX_CONCURRENT).collect().await;
        removed.into_iter().all(|was_whole| was_whole.unwrap_or(false))
    }
}
