//! The near cache of a client: reads over the tracked connection, and the wait that makes an invalidation final.
//!
//! An invalidation is acknowledged only when no process can return the old value from its memory any more.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::time::{sleep, timeout};

use crate::entry::StoredValue;
use crate::keyspace::Key;
use crate::near::{NearMemory, Snapshot};
use crate::redis::{Holders, RedisStore, Step, StoreError, Tracking};

/// The near cache of one client, with its connection.
#[derive(Debug)]
pub(crate) struct NearCache {
    pub(crate) store: Arc<RedisStore>,
    pub(crate) memory: Arc<NearMemory>,
    pub(crate) tracking: Tracking,
    /// The longest time for which a process with these settings may hold a lease.
    pub(crate) bound: Duration,
    /// The longest time for one read.
    pub(crate) read_timeout: Duration,
}

/// The result of a read over the tracked connection.
pub(crate) enum TrackedRead {
    /// What Redis holds, and the snapshot under which it may be kept.
    Found(Option<StoredValue>, Snapshot),
    /// The connection cannot be used now.
    Unusable,
    /// Redis did not reply in time, or the read failed after at least half of that time. Another read could take
    /// as long again.
    Late,
}

impl NearCache {
    /// Reads an entry over the tracked connection.
    pub(crate) async fn read(&self, key: &Key, pending_epoch: u64) -> TrackedRead {
        // If the tracked connection stalls, the process loses its lease. Then reads use the ordinary connection.
        if !self.memory.validity.has_lease() {
            return TrackedRead::Unusable;
        }
        let (snapshot, began) = (self.memory.snapshot(key, pending_epoch), Instant::now());
        match timeout(self.read_timeout, self.tracking.get(key.bytes())).await {
            Ok(Some(reply)) => TrackedRead::Found(reply.map(StoredValue::parse), snapshot),
            // The connection may also end while the read waits, because a barrier that began earlier has timed out.
            Ok(None) if began.elapsed() < self.read_timeout / 2 => TrackedRead::Unusable,
            Ok(None) | Err(_) => TrackedRead::Late,
        }
    }

    /// Ends the lease, so that no write waits for this process. Call it when the tracked connection is closed.
    pub(crate) async fn leave(&self) {
        self.memory.validity.end_lease();
        // If this fails, writes wait until the lease would be over.
        let _ = self.store.remove_holder(&self.tracking.id).await;
    }

    /// Removes the entries of some steps everywhere, and returns how many existed. `keys` are the process's own copies, or
    /// `None` if it does not know them all.
    pub(crate) async fn remove(&self, steps: &[Step], keys: Option<&[Key]>) -> Result<u64, StoreError> {
        let (entries, holders) = self.store.remove_and_list(steps, self.bound).await?;
        self.confirm(holders, keys).await?;
        Ok(entries)
    }

    /// Waits until no process can return from its memory what Redis held before this call. Call it after the removal,
    /// and drop this process's own copies before the removal. `keys` are the keys of these copies, or `None` if the
    /// process does not know them all. `listed` are the holders, if Redis has listed them after the removal.
    ///
    /// # Errors
    /// Returns an error when Redis does not list the processes: some may hold the old value for as long as their lease.
    pub(crate) async fn confirm(&self, listed: Option<Holders>, keys: Option<&[Key]>) -> Result<(), StoreError> {
        let Holders { mut ids, unknown, longest } = match listed {
            Some(listed) => listed,
            None => self.store.list_holders(self.bound).await?,
        };
        if let Some(keys) = keys {
            self.memory.drop_keys(keys);
            ids.remove(&self.tracking.id);
        }
        let is_waited_for = ids.contains(&self.tracking.id);
        let confirmed = async {
            // After the longest lease, it does not matter whether a process has answered.
            ids.is_empty() || timeout(longest, self.tracking.confirm(ids)).await.is_ok()
        };
        let known = async {
            if !unknown.is_zero() {
                sleep(unknown.min(longest)).await;
            }
        };
        let (all_have_answered, ()) = tokio::join!(confirmed, known);
        if keys.is_none() {
            // A process with only bounded caches is not waited for, so nothing proves that its pushes have arrived.
            self.memory.validity.record_removal(is_waited_for && all_have_answered);
        }
        Ok(())
    }
}
