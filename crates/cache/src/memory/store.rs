//! The operations of one client on a memory, and whether it may use it.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::watch;
use tokio::time::sleep;
use tracing::{info, warn};

use super::data::{Commit, KeyspaceData};
use super::handle::{Fault, Memory, State, lock};
use crate::entry::StoredValue;
use crate::health::{Health, Reason};
use crate::keyspace::{Key, Tag};
use crate::lease::{Grant, LeaseReply, RandomId, RefreshReply};
use crate::loader::Content;
use crate::outcome::Fill;
use crate::purge_queue::PurgeQueue;
use crate::redis::{GuardMembers, InspectedEntry, ScannedServer, Step, StoreError, SweepReply, TagCursor};

/// Entries that one step of the sweep removes at most.
const SWEEP: usize = 128;

type Result<T> = std::result::Result<T, StoreError>;

/// Access to a memory for one keyspace.
#[derive(Debug)]
pub(crate) struct MemoryStore {
    memory: Memory,
    data: Arc<Mutex<KeyspaceData>>,
    timeout: Duration,
    /// The number of restarts of the memory when this client last verified it.
    verified: AtomicU64,
    health: watch::Sender<Health>,
}

impl MemoryStore {
    pub(crate) fn new(memory: &Memory, keyspace: &str, timeout: Duration) -> Self {
        let state = memory.state();
        let health = if answers(state, timeout) { Health::Up } else { Health::Down(Reason::NoAnswer) };
        Self {
            data: memory.keyspace(keyspace),
            memory: memory.clone(),
            timeout,
            verified: AtomicU64::new(state.restarts),
            health: watch::Sender::new(health),
        }
    }

    pub(crate) fn now_ms(&self) -> u64 {
        self.memory.clock().now_ms()
    }

    pub(crate) fn is_in_use(&self) -> bool {
        self.health.borrow().is_in_use()
    }

    pub(crate) fn health(&self) -> Health {
        self.health.borrow().clone()
    }

    /// Follows the state of the memory until the future is dropped. Never returns. Before a memory that was restarted is used
    /// again, requests a purge.
    pub(crate) async fn run_probe(&self, purges: &impl PurgeQueue) {
        let mut states = self.memory.watch();
        loop {
            let state = *states.borrow_and_update();
            if answers(state, self.timeout) {
                if self.verified.load(SeqCst) != state.restarts {
                    purges.request_purge();
                    self.verified.store(state.restarts, SeqCst);
                }
                self.change(Health::Up);
            } else {
                self.change(Health::Down(Reason::NoAnswer));
            }
            if states.changed().await.is_err() {
                std::future::pending().await
            }
        }
    }

    fn change(&self, now: Health) {
        if self.health.send_replace(now.clone()) != now {
            match now {
                Health::Up => info!("the memory answers; the cache uses it"),
                now => warn!(?now, "the memory does not answer; reads go to the database"),
            }
        }
    }

    /// Waits for the memory as for a server, and locks the entries of the keyspace. Returns the time as well.
    async fn enter(&self) -> Result<(MutexGuard<'_, KeyspaceData>, u64)> {
        let unavailable = |why: &str| Err(StoreError::Unavailable(why.to_owned()));
        if !self.is_in_use() {
            return unavailable("left alone until it answers");
        }
        match self.memory.state().fault {
            None => {}
            Some(Fault::Slow(time)) if time < self.timeout => sleep(time).await,
            Some(Fault::Failing) => return unavailable("it refuses the command"),
            Some(Fault::Slow(_) | Fault::Hanging) => {
                sleep(self.timeout).await;
                return unavailable("no reply in time");
            }
        }
        let data = lock(&self.data);
        match self.memory.state().restarts == self.verified.load(SeqCst) {
            true => Ok((data, self.now_ms())),
            false => unavailable("restarted, and not yet verified"),
        }
    }

    pub(crate) async fn get(&self, key: &Key) -> Result<Option<StoredValue>> {
        let (mut data, now) = self.enter().await?;
        Ok(data.get(key, now))
    }

    pub(crate) async fn get_many(&self, keys: &[Key]) -> Vec<Result<Option<StoredValue>>> {
        match self.enter().await {
            Ok((mut data, now)) => keys.iter().map(|key| Ok(data.get(key, now))).collect(),
            Err(error) => keys.iter().map(|_| Err(error.clone())).collect(),
        }
    }

    pub(crate) async fn acquire(&self, key: &Key, lease: Duration) -> LeaseReply {
        match self.enter().await {
            Ok((mut data, now)) => data.acquire(key, millis(lease), now),
            Err(_) => LeaseReply::Unavailable,
        }
    }

    pub(crate) async fn take_over(&self, key: &Key, lease: Duration) -> Result<Grant> {
        let (mut data, now) = self.enter().await?;
        Ok(data.take_over(key, millis(lease), now))
    }

    pub(crate) async fn refresh(&self, key: &Key, token: Bytes, lock: Duration) -> Result<RefreshReply> {
        let (mut data, now) = self.enter().await?;
        Ok(data.refresh(key, token, millis(lock), now))
    }

    pub(crate) async fn refresh_failed(&self, key: &Key) {
        if let Ok((mut data, _)) = self.enter().await {
            data.refresh_failed(key);
        }
    }

    pub(crate) async fn release(&self, key: &Key, grant: Grant) {
        if grant.token.first() == Some(&b'V') {
            return self.refresh_failed(key).await;
        }
        if let Ok((mut data, now)) = self.enter().await {
            data.release(key, &grant, now);
        }
    }

    pub(crate) async fn commit(
        &self, key: &Key, grant: Grant, loaded: &Content, schema: u32, (soft, hard): (u64, u64), fallback: u64,
    ) -> std::result::Result<RandomId, Fill> {
        let (mut data, now) = self.enter().await.map_err(|_| Fill::Failed)?;
        let commit = Commit { loaded, schema, soft, hard, fallback, limit: self.memory.limit() };
        data.commit(key, &grant, &commit, now)
    }

    pub(crate) async fn remove(&self, step: &Step) -> Result<u64> {
        let (mut data, now) = self.enter().await?;
        Ok(match step {
            Step::Keys(keys) => keys.iter().filter(|key| data.remove(key, now)).count() as u64,
            Step::Older(entries) => {
                entries.iter().filter(|(key, version)| data.remove_older(key, *version, now)).count() as u64
            }
            Step::Tags(_, tags) => tags.iter().map(|tag| data.remove_tag(tag.as_str(), now)).sum(),
        })
    }

    pub(crate) async fn expire(&self, names: Vec<String>) -> Result<u64> {
        let (mut data, now) = self.enter().await?;
        Ok(names.iter().filter(|name| data.expire_key(name, now)).count() as u64)
    }

    pub(crate) async fn expire_tags(&self, _: u16, tags: &[Tag]) -> Result<u64> {
        let (mut data, now) = self.enter().await?;
        Ok(tags.iter().map(|tag| data.expire_tag(tag.as_str(), now)).sum())
    }

    pub(crate) async fn fence_tags(&self, _: u16, tags: &[Tag]) -> Result<Vec<u64>> {
        let (mut data, now) = self.enter().await?;
        let fence = |tag: &Tag| {
            data.fence_tag(tag.as_str());
            u64::from(!data.entries.members(tag.as_str(), now).is_empty())
        };
        Ok(tags.iter().map(fence).collect())
    }

    pub(crate) async fn scan_tag(&self, _: u16, tag: &Tag, _: TagCursor) -> Result<(Option<TagCursor>, Vec<String>)> {
        let (data, now) = self.enter().await?;
        let names = data.entries.members(tag.as_str(), now);
        Ok((None, names.iter().map(|(_, name)| String::from_utf8_lossy(name).into_owned()).collect()))
    }

    pub(crate) async fn drop_generation(&self, _: &ScannedServer, _: u16) -> Result<()> {
        self.enter().await?.0.drop_generation();
        Ok(())
    }

    pub(crate) async fn place_guard(&self, guard: &GuardMembers, lease: Duration) -> Result<()> {
        let (mut data, now) = self.enter().await?;
        data.place_guard(&guard.members, now + millis(lease));
        Ok(())
    }

    pub(crate) async fn remove_guard(&self, guard: &GuardMembers) -> Result<bool> {
        let (mut data, _) = self.enter().await?;
        Ok(data.remove_guard(&guard.members) == guard.members.len())
    }

    pub(crate) async fn scan(
        &self, _: &ScannedServer, _: u16, cursor: &str, count: u32,
    ) -> Result<(String, Vec<String>)> {
        let (data, now) = self.enter().await?;
        let (next, names) = data.entries.names(cursor.parse().unwrap_or(0), count as usize, now);
        Ok((next.unwrap_or(0).to_string(), names))
    }

    pub(crate) async fn remove_scanned(&self, _: &ScannedServer, _: u16, keys: &[Key]) -> Result<u64> {
        self.remove(&Step::Keys(keys.to_vec())).await
    }

    pub(crate) async fn sweep(&self, _: u16) -> Result<SweepReply> {
        let (mut data, now) = self.enter().await?;
        let removed = data.sweep(SWEEP, now);
        Ok(SweepReply { removed: removed as u64, more: removed == SWEEP })
    }

    pub(crate) async fn inspect(&self, keys: &[Key]) -> Result<Vec<Option<InspectedEntry>>> {
        let (mut data, now) = self.enter().await?;
        let inspect = |key| {
            let (raw, left) = data.inspect(key, now)?;
            let size = raw.len();
            Some(InspectedEntry { held: StoredValue::parse_header(raw), size, left: left as i64 })
        };
        Ok(keys.iter().map(inspect).collect())
    }

    pub(crate) async fn tag_size(&self, _: u16, tag: &Tag) -> Result<u64> {
        let (data, _) = self.enter().await?;
        Ok(data.entries.tag_size(tag.as_str()) as u64)
    }
}

fn answers(state: State, timeout: Duration) -> bool {
    match state.fault {
        None => true,
        Some(Fault::Slow(time)) => time < timeout,
        Some(Fault::Failing | Fault::Hanging) => false,
    }
}

fn millis(duration: Duration) -> u64 {
    duration.as_millis() as u64
}
