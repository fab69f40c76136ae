//! One process that reads through the cache, as far as Redis can tell.

use std::ops::Range;

use cache::error::LoadError;
use cache::{Cache, CacheClient, Cached, Invalidated, Invalidation, Key, Policy, Tag};
use futures_util::future::join_all;
use testkit::eventually;
use tokio::task::{JoinHandle, yield_now};
use tokio::time::timeout;

use super::row::{Load, Loader, Row};
use super::times::SOON;

/// A client of keyspace `shop` with a cache `item`.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) client: CacheClient,
    pub(crate) cache: Cache<String>,
}

#[derive(Debug)]
pub(crate) struct Reading(JoinHandle<Result<Cached<String>, LoadError>>);

impl Node {
    pub(crate) fn new(client: CacheClient, policy: Policy) -> Self {
        let cache = client.cache("item", policy).unwrap();
        Self { client, cache }
    }

    /// Returns another view of this node, with another policy.
    pub(crate) fn under(&self, policy: Policy) -> Self {
        Self { client: self.client.clone(), cache: self.client.cache("item", policy).unwrap() }
    }

    pub(crate) fn key(&self, id: u32) -> Key {
        self.cache.key(id)
    }

    /// Reads to the end, and loads from `row` at once if necessary.
    pub(crate) async fn read(&self, id: u32, row: &Row) -> Cached<String> {
        self.start(id, &row.loader()).value().await
    }

    pub(crate) fn start(&self, id: u32, load: &Loader) -> Reading {
        let (cache, load) = (self.cache.clone(), Loader::clone(load));
        Reading(tokio::spawn(async move { cache.read(id, move || load()).await }))
    }

    /// Starts a read of `row` in the background, and waits until its load has read the row.
    pub(crate) async fn loading(&self, id: u32, row: &Row) -> (Reading, Load) {
        let (mut gate, load) = row.gated();
        let reading = self.start(id, &load);
        (reading, gate.began().await)
    }

    /// Stores `row` as entry `id`.
    pub(crate) async fn fill(&self, id: u32, row: &Row) {
        let cached = self.read(id, row).await;
        assert_eq!(cached.outcome(), cache::Outcome::Miss(cache::outcome::Fill::Stored));
    }

    /// Stores `row` as each of these entries.
    pub(crate) async fn fill_many(&self, ids: Range<u32>, row: &Row) {
        let ids: Vec<u32> = ids.collect();
        for some in ids.chunks(500) {
            join_all(some.iter().map(|id| self.fill(*id, row))).await;
        }
    }

    /// Invalidates, and expects an acknowledgement. Returns how many entries existed.
    pub(crate) async fn invalidate(&self, invalidation: Invalidation) -> u64 {
        match timeout(SOON, self.client.invalidate(invalidation)).await.expect("an invalidation hangs") {
            Invalidated::Done { entries } => entries,
            Invalidated::Deferred => panic!("an invalidation is deferred although Redis answers"),
        }
    }

    pub(crate) async fn remove(&self, id: u32) -> u64 {
        self.invalidate(Invalidation::hard().key(self.key(id))).await
    }

    pub(crate) async fn remove_tag(&self, tag: Tag) -> u64 {
        self.invalidate(Invalidation::hard().tag(tag)).await
    }

    pub(crate) async fn expire(&self, id: u32) -> u64 {
        self.invalidate(Invalidation::soft().key(self.key(id))).await
    }

    pub(crate) async fn expire_tag(&self, tag: Tag) -> u64 {
        self.invalidate(Invalidation::soft().tag(tag)).await
    }

    /// Returns the version in the cache, if any. Neither loads nor refreshes.
    pub(crate) async fn cached(&self, id: u32) -> Option<u64> {
        self.cache.get(id).await.and_then(|cached| cached.version())
    }

    /// Waits until entry `id` holds `version`.
    pub(crate) async fn until_cached(&self, id: u32, version: u64) {
        eventually(&format!("version {version} in the cache"), SOON, async || self.cached(id).await == Some(version))
            .await;
    }

    /// Returns how many keys are enough to have one on each server of a cluster, for certain in practice.
    fn keys_on_every_server(&self) -> u32 {
        if self.client.keyspace().partitions() == 1 { 1 } else { 40 }
    }

    /// Waits until every read that was started on this node and thread has progressed as far as it can. A connection
    /// answers in order, so when these commands are answered, those of the reads are.
    pub(crate) async fn settle(&self) {
        for _ in 0..4 {
            for id in 0..self.keys_on_every_server() {
                self.cache.get(format!("settle-{id}")).await;
            }
            for _ in 0..50 {
                yield_now().await;
            }
        }
    }
}

impl Reading {
    pub(crate) async fn result(self) -> Result<Cached<String>, LoadError> {
        timeout(SOON, self.0).await.expect("a fetch hangs").unwrap()
    }

    pub(crate) async fn value(self) -> Cached<String> {
        self.result().await.unwrap()
    }

    pub(crate) fn is_over(&self) -> bool {
        self.0.is_finished()
    }

    pub(crate) fn hang_up(self) {
        self.0.abort();
    }
}
