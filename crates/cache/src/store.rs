//! Where the entries of a keyspace are: in Redis, or in the memory of this program. Both have the same operations.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::entry::StoredValue;
use crate::health::Health;
use crate::keyspace::{Key, Keyspace, Tag};
use crate::lease::{Grant, LeaseReply, RandomId, RefreshReply};
use crate::loader::Content;
use crate::memory::MemoryStore;
use crate::outcome::Fill;
use crate::purge_queue::PurgeQueue;
use crate::redis::{GuardMembers, InspectedEntry, RedisStore, ScannedServer, Step, StoreError, SweepReply, TagCursor};

type Result<T> = std::result::Result<T, StoreError>;

/// The store of one keyspace.
#[derive(Debug)]
pub(crate) struct Store {
    pub(crate) keyspace: Keyspace,
    backend: Backend,
}

#[derive(Debug)]
enum Backend {
    Redis(Arc<RedisStore>),
    Memory(MemoryStore),
}

/// Calls an operation of the backend.
macro_rules! on {
    ($store:ident, $backend:ident => $call:expr) => {
        match &$store.backend {
            Backend::Redis($backend) => $call,
            Backend::Memory($backend) => $call,
        }
    };
}

impl Store {
    pub(crate) fn in_redis(store: &Arc<RedisStore>) -> Self {
        Self { keyspace: store.keyspace.clone(), backend: Backend::Redis(Arc::clone(store)) }
    }

    pub(crate) fn in_memory(keyspace: Keyspace, store: MemoryStore) -> Self {
        Self { keyspace, backend: Backend::Memory(store) }
    }

    /// Returns whether the entries are in the memory of this program.
    pub(crate) fn is_memory(&self) -> bool {
        matches!(self.backend, Backend::Memory(_))
    }

    /// Returns whether operations may be tried now.
    pub(crate) fn is_in_use(&self) -> bool {
        on!(self, store => store.is_in_use())
    }

    /// Returns the time by which entries age, in milliseconds since 1970.
    pub(crate) fn now_ms(&self) -> u64 {
        on!(self, store => store.now_ms())
    }

    pub(crate) fn health(&self) -> Health {
        on!(self, store => store.health())
    }

    /// Watches the backend until the future is dropped. Never returns. Requests a purge before it allows the use of
    /// entries that may be outdated.
    pub(crate) async fn run_probe(&self, purges: &impl PurgeQueue) {
        on!(self, store => store.run_probe(purges).await)
    }

    pub(crate) async fn close(&self) {
        if let Backend::Redis(store) = &self.backend {
            store.close().await;
        }
    }

    /// Reads an entry.
    pub(crate) async fn get(&self, key: &Key) -> Result<Option<StoredValue>> {
        on!(self, store => store.get(key).await)
    }

    /// Reads several entries, which are requested together.
    pub(crate) async fn get_many(&self, keys: &[Key]) -> Vec<Result<Option<StoredValue>>> {
        on!(self, store => store.get_many(keys).await)
    }

    /// Acquires the lease of an absent entry.
    pub(crate) async fn acquire(&self, key: &Key, lease: Duration) -> LeaseReply {
        on!(self, store => store.acquire(key, lease).await)
    }

    /// Takes over the lease, regardless of what the entry holds.
    pub(crate) async fn take_over(&self, key: &Key, lease: Duration) -> Result<Grant> {
        on!(self, store => store.take_over(key, lease).await)
    }

    /// Acquires the right to reload the value that has this token.
    pub(crate) async fn refresh(&self, key: &Key, token: Bytes, lock: Duration) -> Result<RefreshReply> {
        on!(self, store => store.refresh(key, token, lock).await)
    }

    /// Records that the load of an entry that exists has failed, so that no load follows at once.
    pub(crate) async fn refresh_failed(&self, key: &Key) {
        on!(self, store => store.refresh_failed(key).await)
    }

    /// Stores a loaded value under the grant with which its load began, with these soft and hard TTLs in milliseconds,
    /// and keeps it for `fallback` milliseconds after that. Returns its id, or why nothing was stored.
    pub(crate) async fn commit(
        &self, key: &Key, grant: Grant, loaded: &Content, schema: u32, ttls: (u64, u64), fallback: u64,
    ) -> std::result::Result<RandomId, Fill> {
        on!(self, store => store.commit(key, grant, loaded, schema, ttls, fallback).await)
    }

    /// Gives up a grant after a load that stored nothing.
    pub(crate) async fn release(&self, key: &Key, grant: Grant) {
        on!(self, store => store.release(key, grant).await)
    }

    /// Removes the entries of one step. Returns how many existed.
    pub(crate) async fn remove(&self, step: &Step) -> Result<u64> {
        on!(self, store => store.remove(step).await)
    }

    /// Marks entries as stale. Returns how many existed.
    pub(crate) async fn expire(&self, names: Vec<String>) -> Result<u64> {
        on!(self, store => store.expire(names).await)
    }

    /// Marks the entries of one partition that carry any of `tags` as stale. Returns how many existed.
    pub(crate) async fn expire_tags(&self, partition: u16, tags: &[Tag]) -> Result<u64> {
        on!(self, store => store.expire_tags(partition, tags).await)
    }

    /// Fences tags: no load of an entry that carries one of them, and began before, can be stored. Returns for each tag
    /// how many of its sets exist; 0 means that no entry carries it.
    pub(crate) async fn fence_tags(&self, partition: u16, tags: &[Tag]) -> Result<Vec<u64>> {
        on!(self, store => store.fence_tags(partition, tags).await)
    }

    /// Returns one page of the names of the entries in a partition that carry `tag`, and where the next one begins.
    pub(crate) async fn scan_tag(
        &self, partition: u16, tag: &Tag, cursor: TagCursor,
    ) -> Result<(Option<TagCursor>, Vec<String>)> {
        on!(self, store => store.scan_tag(partition, tag, cursor).await)
    }

    /// Places the part of a guard that lies in one partition. After `lease` it is over.
    pub(crate) async fn place_guard(&self, guard: &GuardMembers, lease: Duration) -> Result<()> {
        on!(self, store => store.place_guard(guard, lease).await)
    }

    /// Removes the part of a guard that lies in one partition. Returns whether all of its members were still there.
    pub(crate) async fn remove_guard(&self, guard: &GuardMembers) -> Result<bool> {
        on!(self, store => store.remove_guard(guard).await)
    }

    /// Returns the server that a scan of a partition asks.
    pub(crate) fn scanned_server(&self, partition: u16) -> Result<ScannedServer> {
        match &self.backend {
            Backend::Redis(store) => store.scanned_server(partition),
            Backend::Memory(_) => Ok(ScannedServer::default()),
        }
    }

    /// Drops the generation of a partition: no load in flight can be stored. Fails if the server does not have the whole
    /// partition.
    pub(crate) async fn drop_generation(&self, server: &ScannedServer, partition: u16) -> Result<()> {
        on!(self, store => store.drop_generation(server, partition).await)
    }

    /// Returns the next cursor (`0` at the end) and one page of the names of entries in a partition.
    pub(crate) async fn scan(
        &self, server: &ScannedServer, partition: u16, cursor: &str, count: u32,
    ) -> Result<(String, Vec<String>)> {
        on!(self, store => store.scan(server, partition, cursor, count).await)
    }

    /// Removes the entries that one page of a scan has returned. Returns how many existed. Fails if the server does not have
    /// the whole partition: then the scan may have missed entries.
    pub(crate) async fn remove_scanned(&self, server: &ScannedServer, partition: u16, keys: &[Key]) -> Result<u64> {
        on!(self, store => store.remove_scanned(server, partition, keys).await)
    }

    /// Removes some of the data that belongs to entries that no longer exist.
    pub(crate) async fn sweep(&self, partition: u16) -> Result<SweepReply> {
        on!(self, store => store.sweep(partition).await)
    }

    /// Inspects entries of one partition.
    pub(crate) async fn inspect(&self, keys: &[Key]) -> Result<Vec<Option<InspectedEntry>>> {
        on!(self, store => store.inspect(keys).await)
    }

    /// Returns how many entries of a partition are registered under `tag`.
    pub(crate) async fn tag_size(&self, partition: u16, tag: &Tag) -> Result<u64> {
        on!(self, store => store.tag_size(partition, tag).await)
    }
}
