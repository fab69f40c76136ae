//! The invalidation of a whole keyspace.

use std::sync::Arc;

use tracing::debug;

use crate::feed::{CacheEvent, InvalidationRecord};
use crate::invalidate::{Invalidated, Invalidator};
use crate::keyspace::Key;
use crate::purge_queue::PurgeQueue;
use crate::redis::StoreError;

impl PurgeQueue for Invalidator {
    fn request_purge(&self) {
        if let Some(near) = &self.near {
            near.memory.validity.end_lease();
            near.memory.validity.record_change_of_everything();
        }
        self.pending.add_everything();
    }

    fn is_purged(&self) -> bool {
        !self.pending.snapshot().is_everything()
    }
}

impl Invalidator {
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

    /// Removes every entry. It drops the generation first: then Redis refuses the fills of the loads in flight, so no
    /// fill restores an entry that the scan has removed.
    pub(crate) async fn run_purge(&self) -> Result<u64, StoreError> {
        let mut total = 0;
        for partition in 0..self.store.keyspace.partitions() {
            let server = self.store.scanned_server(partition)?;
            self.store.drop_generation(&server, partition).await?;
            let mut cursor = "0".to_owned();
            loop {
                let (next, names) = self.store.scan(&server, partition, &cursor, 512).await?;
                let keys: Vec<Key> = names.iter().filter_map(|name| self.store.keyspace.parse(name)).collect();
                total += self.store.remove_scanned(&server, partition, &keys).await?;
                if next == "0" {
                    break;
                }
                cursor = next;
            }
        }
        if let Some(near) = &self.near {
            near.memory.validity.record_change_of_everything();
            near.confirm(None, None).await?;
        }
        Ok(total)
    }
}
