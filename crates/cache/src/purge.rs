//! The invalidation of a whole keyspace.

use std::collections::BTreeSet;
use std::sync::Arc;

use tracing::debug;

use crate::feed::{CacheEvent, InvalidationRecord};
use crate::invalidate::{Invalidated, Invalidator};
use crate::keyspace::Key;
use crate::purge_queue::PurgeQueue;
use crate::redis::StoreError;

/// What a purge has done so far. A retry continues with the partitions that it has not emptied: while slots migrate, one
/// partition or another may be incomplete at any time.
#[derive(Debug, Default)]
pub(crate) struct PurgeProgress {
    /// The number of the request ([`PendingSet`](crate::pending::PendingSet)).
    request: u64,
    emptied: BTreeSet<u16>,
    removed: u64,
}

impl PurgeProgress {
    /// Begins anew if this is another request than before.
    pub(crate) fn begin(&mut self, request: u64) {
        if self.request != request {
            *self = Self { request, ..Self::default() };
        }
    }
}

impl PurgeQueue for Invalidator {
    fn request_purge(&self) {
        if let Some(near) = &self.near {
            near.memory.validity.end_lease();
            near.memory.validity.record_change_of_everything();
        }
        self.pending.add_everything();
    }

    fn is_purged(&self) -> bool {
        !self.pending.has_purge()
    }
}

impl Invalidator {
    /// Removes every entry of the keyspace, in a task of its own.
    pub(crate) async fn purge(self: &Arc<Self>) -> Invalidated {
        let this = Arc::clone(self);
        let task = async move {
            let done = this.run_purge(&mut PurgeProgress::default()).await;
            this.events.emit(|| CacheEvent::Invalidate(InvalidationRecord::everything(done.as_ref().ok().copied())));
            this.acknowledge(done, |error| {
                debug!(%error, "an invalidation of the whole keyspace is deferred");
                this.pending.add_everything();
            })
        };
        let done = self.tasks.spawn_on(task, &self.runtime).await;
        done.unwrap_or_else(|_| {
            // A task that has panicked has deferred nothing.
            self.pending.add_everything();
            Invalidated::Deferred
        })
    }

    /// Removes every entry from the partitions that are not emptied yet. Returns how many existed in all of them.
    pub(crate) async fn run_purge(&self, progress: &mut PurgeProgress) -> Result<u64, StoreError> {
        let mut failure = None;
        for partition in 0..self.store.keyspace.partitions() {
            if progress.emptied.contains(&partition) {
                continue;
            }
            match self.purge_partition(partition).await {
                Ok(removed) => {
                    progress.emptied.insert(partition);
                    progress.removed += removed;
                }
                Err(error @ StoreError::Unavailable(_)) => return Err(error),
                // The slot of this partition may migrate; the others need not wait for it.
                Err(error) => failure = failure.or(Some(error)),
            }
        }
        if let Some(error) = failure {
            return Err(error);
        }
        if let Some(near) = &self.near {
            near.memory.validity.record_change_of_everything();
        }
        self.confirm_removed().await?;
        Ok(progress.removed)
    }

    /// Drops the generation first: then Redis refuses the fills of the loads in flight, so no fill restores an entry that the
    /// scan has removed.
    async fn purge_partition(&self, partition: u16) -> Result<u64, StoreError> {
        let server = self.store.scanned_server(partition)?;
        self.store.drop_generation(&server, partition).await?;
        let (mut removed, mut cursor) = (0, "0".to_owned());
        loop {
            let (next, names) = self.store.scan(&server, partition, &cursor, 512).await?;
            let keys: Vec<Key> = names.iter().filter_map(|name| self.store.keyspace.parse(name)).collect();
            removed += self.store.remove_scanned(&server, partition, &keys).await?;
            if next == "0" {
                return Ok(removed);
            }
            cursor = next;
        }
    }
}
