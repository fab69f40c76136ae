//! Write-through: the writer stores the new value, so that the next read is a hit.
//!
//! "The newer version wins" is not enough: once the key is absent, there is no version to compare with, and an older
//! writer may store last. Here, the order of the row lock decides:
//!
//! ```text
//! BEGIN ─ UPDATE … (row lock) ─ begin_write (takes over the lease) ─ COMMIT ─ publish (if the lease is still held)
//! ```
//!
//! Of two writers of one row, the one that gets the row lock second takes over the lease of the first. A writer that
//! has lost its lease invalidates the entry instead. Use write-through only for values that consist of the locked row
//! and of data that meets two conditions: the value's tags name it, and the transaction reads it *after* `begin_write`,
//! at READ COMMITTED. The reason is that the fences are compared with the clock at the time of `begin_write`.

use std::fmt::Display;
use std::marker::PhantomData;

use tracing::{debug, error};

use crate::cache::{Cache, Region};
use crate::codec::Json;
use crate::invalidate::{Invalidated, Invalidation};
use crate::keyspace::{Key, Tag};
use crate::lease::Grant;
use crate::loader::{Content, NewEntry};
use crate::names::InvalidName;
use crate::outcome::{Fill, Outcome};

/// A writer's lease on an entry, held from within its transaction until after its COMMIT.
///
/// If it is dropped without [`publish`](Self::publish) or [`abandon`](Self::abandon), the write is in doubt: the entry
/// is invalidated at once, and again after [`Policy::commit_bound`](crate::Policy::commit_bound).
#[derive(Debug)]
#[must_use = "readers wait until the lease is published, abandoned, dropped or over"]
pub struct WriteLease<T, C = Json> {
    value: PhantomData<fn() -> (T, C)>,
    region: Region,
    key: Key,
    grant: Option<Grant>,
    /// Neither published nor abandoned.
    is_open: bool,
}

/// The result of publishing a written value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a deferred invalidation is not acknowledged: report it to the caller"]
pub enum Published {
    /// The value is stored; the next read is a hit.
    Stored,
    /// Another client wrote or invalidated the entry in the meantime. The entry is removed, and the next read loads.
    Invalidated,
    /// Redis did neither; see [`Invalidated::Deferred`].
    Deferred,
}

impl<T, C> Cache<T, C> {
    /// Takes over the entry's lease for a write. Call it inside the transaction, after the row is locked.
    ///
    /// If Redis does not answer, the lease is empty, and `publish` invalidates the entry.
    pub async fn begin_write(&self, id: impl Display) -> WriteLease<T, C> {
        let (region, key) = (&self.region, self.key(id));
        let grant = region.shared.store.take_over(&key, region.definition.policy.lease_duration()).await;
        if let Err(error) = &grant {
            debug!(%key, %error, "Redis granted no lease for a write-through; the entry is invalidated after the write");
        }
        WriteLease { value: PhantomData, region: region.clone(), key, grant: grant.ok(), is_open: true }
    }
}

impl<T: 'static, C: 'static> WriteLease<T, C> {
    /// Stores the committed value. Call it after COMMIT, with what the transaction wrote (`RETURNING`).
    ///
    /// It runs in its own task: once the returned future has been polled, dropping it stops nothing.
    ///
    /// A value that cannot be encoded, or that has a name that no entry can have, is not stored; the entry is invalidated.
    pub async fn publish(mut self, written: impl Into<NewEntry<T, C>>) -> Published {
        let region = self.region.clone();
        let written = written.into().into_content().map_err(|error| error.to_string());
        let written = written.and_then(|written| match self.check_names(&written) {
            Ok(()) => Ok(written),
            Err(error) => Err(error.to_string()),
        });
        let task = region.spawn(async move {
            self.is_open = false;
            match (self.grant.take(), written) {
                (Some(grant), Ok(written)) => {
                    let cached = self.region.commit(&self.key, grant, written).await;
                    let is_stored = cached.outcome == Outcome::Miss(Fill::Stored);
                    if is_stored && self.region.shared.invalidator.confirm_replaced(&self.key).await.is_ok() {
                        return Published::Stored;
                    }
                }
                (_, Err(error)) => {
                    error!(key = %self.key, error, "a written value cannot be stored; the entry is invalidated");
                }
                (None, Ok(_)) => {}
            }
            let gone = Invalidation::hard().key(self.key.clone());
            match self.region.shared.invalidator.invalidate(gone).await {
                Invalidated::Done { .. } => Published::Invalidated,
                Invalidated::Deferred => Published::Deferred,
            }
        });
        task.await.unwrap_or(Published::Deferred)
    }

    fn check_names(&self, written: &Content) -> Result<(), InvalidName> {
        self.key.check()?;
        written.tags.iter().try_for_each(Tag::check)
    }

    /// Releases the lease after a rollback; the next read loads.
    pub async fn abandon(mut self) {
        self.is_open = false;
        if let Some(grant) = self.grant.take() {
            self.region.shared.store.release(&self.key, grant).await;
        }
    }
}

impl<T, C> Drop for WriteLease<T, C> {
    /// Treats the write as in doubt and invalidates the entry: the COMMIT of the transaction may still be in flight.
    fn drop(&mut self) {
        if self.is_open {
            let (region, gone) = (self.region.clone(), Invalidation::hard().key(self.key.clone()));
            self.region.spawn(async move {
                let bound = region.definition.policy.commit_bound;
                let _ = region.shared.invalidator.invalidate_in_doubt(gone, bound).await;
            });
        }
    }
}
