//! Write-through: the writer stores the new value, so that the next read is a hit.
//!
//! "The newer version wins" is not enough: once the key is absent there is nothing to compare with, and an older
//! writer stores last. Here the order of the row lock decides:
//!
//! ```text
//! BEGIN ─ UPDATE … (row lock) ─ begin_write (steals the lease) ─ COMMIT ─ publish (only if the lease is still ours)
//! ```
//!
//! Of two writers of one row, the later holds the row lock later, hence steals the earlier one's lease. Where the
//! lease is lost the entry is invalidated instead. Only for values that are made of the locked row, and of what their
//! tags name and the transaction reads *after* `begin_write`, at READ COMMITTED: the fences are compared with the clock
//! as it was then.

use tracing::debug;

use crate::redis::Grant;
use crate::{Cache, Fill, Invalidated, Invalidation, Key, NewEntry, Outcome};

/// A writer's lease on an entry, from within its transaction until after its COMMIT.
///
/// Dropped without [`publish`](Self::publish) or [`abandon`](Self::abandon), the write counts as in doubt: the entry is
/// invalidated at once, and again after [`Policy::commit_bound`](crate::Policy::commit_bound).
#[derive(Debug)]
#[must_use = "readers wait until the lease is published, abandoned, dropped or over"]
pub struct WriteLease {
    cache: Cache,
    key: Key,
    grant: Option<Grant>,
    /// Neither published nor abandoned.
    is_open: bool,
}

/// What became of a written value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a deferred invalidation is not acknowledged: say so to who asked"]
pub enum Published {
    /// The next read is a hit with the new value.
    Stored,
    /// Somebody else wrote or invalidated meanwhile; the entry is gone and the next read loads.
    Invalidated,
    /// Redis did neither; see [`Invalidated::Deferred`].
    Deferred,
}

impl Cache {
    /// Takes the entry's lease for a write. To be called inside the transaction, after the row is locked.
    ///
    /// Where Redis does not answer, the lease is empty, and `publish` invalidates.
    pub async fn begin_write(&self, key: &Key) -> WriteLease {
        let grant = self.inner.store.take_over(key, self.definition.policy.lease_duration()).await;
        if let Err(error) = &grant {
            debug!(%key, %error, "no lease for a write; the entry will be invalidated instead");
        }
        WriteLease { cache: self.clone(), key: key.clone(), grant: grant.ok(), is_open: true }
    }
}

impl WriteLease {
    /// Stores the committed value. To be called after COMMIT, with what the transaction wrote (`RETURNING`).
    ///
    /// It runs in a task of its own: once the returned future has been polled, dropping it stops nothing.
    pub async fn publish(mut self, loaded: NewEntry) -> Published {
        let inner = self.cache.inner.clone();
        let task = inner.spawn(async move {
            self.is_open = false;
            if let Some(grant) = self.grant.take() {
                let cached = self.cache.commit(&self.key, grant, loaded).await;
                if cached.outcome == Outcome::Miss(Fill::Stored) {
                    return Published::Stored;
                }
            }
            match self.cache.cache().invalidate(Invalidation::hard().key(self.key.clone())).await {
                Invalidated::Done { .. } => Published::Invalidated,
                Invalidated::Deferred => Published::Deferred,
            }
        });
        task.await.unwrap_or(Published::Deferred)
    }

    /// Gives the lease back, because the transaction was rolled back: the next read loads.
    pub async fn abandon(mut self) {
        self.is_open = false;
        if let Some(grant) = self.grant.take() {
            // When this fails, the lease ends by itself.
            let _ = self.cache.inner.store.release(&self.key, grant).await;
        }
    }
}

impl Drop for WriteLease {
    /// Whether the transaction was committed is unknown here: its COMMIT may still be on its way.
    fn drop(&mut self) {
        if self.is_open {
            let (cache, key) = (self.cache.clone(), self.key.clone());
            self.cache.inner.spawn(async move {
                let gone = Invalidation::hard().key(key);
                let _ = cache.cache().invalidate_in_doubt(gone, cache.definition.policy.commit_bound).await;
            });
        }
    }
}
