//! The entries of one keyspace, and the operations on them. Each does what one Lua script does in Redis; the script
//! describes the races that it prevents. Here, a lock makes the operation atomic.

use std::collections::{HashMap, HashSet};

use bytes::Bytes;

use super::entries::{Entries, Held, Place, place, place_of, weight};
use crate::entry::{StoredValue, TOKEN_LEN};
use crate::keyspace::Key;
use crate::lease::{Grant, LeaseReply, RandomId, RefreshReply};
use crate::loader::Content;
use crate::outcome::{Fill, FillRefusal};

/// The maximum number of fences. When it is reached, the floor replaces them: it refuses every load that began before.
const MAX_FENCES: usize = 10_000;

#[derive(Clone, Debug, Default)]
pub(super) struct KeyspaceData {
    pub(super) entries: Entries,
    /// `None` until the first lease or fence, and after a purge. Then no load that is in flight can be stored.
    fence: Option<Fence>,
    /// The locks of entries that are being refreshed.
    refreshing: HashMap<Bytes, RefreshLock>,
    guards: Vec<Guard>,
}

#[derive(Clone, Debug)]
struct Fence {
    generation: Bytes,
    clock: u64,
    floor: u64,
    tags: HashMap<Box<str>, u64>,
}

#[derive(Clone, Copy, Debug)]
struct RefreshLock {
    has_failed: bool,
    ends: u64,
}

/// One member of a write guard: `<guard id> k:<local name>` or `<guard id> t:<tag>`.
#[derive(Clone, Debug)]
struct Guard {
    member: String,
    ends: u64,
}

/// The arguments of [`KeyspaceData::commit`].
pub(super) struct Commit<'c> {
    pub(super) loaded: &'c Content,
    pub(super) schema: u32,
    pub(super) soft: u64,
    pub(super) hard: u64,
    pub(super) fallback: u64,
    /// The maximum total weight of all entries.
    pub(super) limit: u64,
}

impl Fence {
    fn new() -> Self {
        Self { generation: RandomId::random().to_string().into(), clock: 0, floor: 0, tags: HashMap::new() }
    }
}

impl KeyspaceData {
    /// `GET`.
    pub(super) fn get(&mut self, key: &Key, now: u64) -> Option<StoredValue> {
        self.entries.held(&place(key), now).map(|held| StoredValue::parse(held.raw.clone()))
    }

    /// `acquire.lua`.
    pub(super) fn acquire(&mut self, key: &Key, lease: u64, now: u64) -> LeaseReply {
        match self.get(key, now) {
            Some(StoredValue::Value(entry)) => LeaseReply::Found(entry),
            Some(StoredValue::Lease) => LeaseReply::Taken,
            Some(StoredValue::Unreadable) => {
                self.entries.take(&place(key));
                LeaseReply::Retry
            }
            None => LeaseReply::Granted(self.take_over(key, lease, now)),
        }
    }

    /// `take_over.lua`.
    pub(super) fn take_over(&mut self, key: &Key, lease: u64, now: u64) -> Grant {
        let token = RandomId::random().token('L');
        self.entries.put(place(key), Held { raw: token.clone(), ends: now + lease });
        self.grant(token)
    }

    /// `refresh.lua`.
    pub(super) fn refresh(&mut self, key: &Key, token: Bytes, lock: u64, now: u64) -> RefreshReply {
        if !self.holds(key, &token, now) {
            return RefreshReply::Changed;
        }
        match self.refreshing.get(key.name()).filter(|lock| lock.ends > now) {
            Some(RefreshLock { has_failed: true, .. }) => return RefreshReply::Failed,
            Some(RefreshLock { has_failed: false, .. }) => return RefreshReply::Taken,
            None => {}
        }
        self.refreshing.insert(key.bytes(), RefreshLock { has_failed: false, ends: now + lock });
        RefreshReply::Granted(self.grant(token))
    }

    /// Records that the load of an entry that exists has failed.
    pub(super) fn refresh_failed(&mut self, key: &Key) {
        if let Some(lock) = self.refreshing.get_mut(key.name()) {
            lock.has_failed = true;
        }
    }

    /// `release.lua`.
    pub(super) fn release(&mut self, key: &Key, grant: &Grant, now: u64) {
        if self.holds(key, &grant.token, now) {
            self.entries.take(&place(key));
        }
    }

    /// `commit.lua`.
    pub(super) fn commit(&mut self, key: &Key, grant: &Grant, commit: &Commit<'_>, now: u64) -> Result<RandomId, Fill> {
        let is_refresh = grant.token.first() == Some(&b'V');
        if !self.holds(key, &grant.token, now) {
            if is_refresh {
                self.refreshing.remove(key.name());
            }
            return Err(Fill::Refused(FillRefusal::LeaseLost));
        }
        if let Some(refusal) = self.refusal(key, grant, commit.loaded, now) {
            self.give_up(key, is_refresh);
            return Err(Fill::Refused(refusal));
        }
        let Commit { loaded, schema, soft, hard, fallback, limit } = *commit;
        let id = RandomId::random();
        let head = format!("V{id} at={now} {}\n", loaded.header(soft, hard, schema));
        let body = loaded.body.as_deref().unwrap_or_default();
        let held = Held { raw: [head.as_bytes(), body].concat().into(), ends: now + hard + fallback };
        if weight(&place(key), &held) > limit {
            self.give_up(key, is_refresh);
            return Err(Fill::TooLarge);
        }
        self.entries.put(place(key), held);
        self.refreshing.remove(key.name());
        self.entries.evict(limit);
        Ok(id)
    }

    /// Gives up the lease or the refresh lock of a load that is not stored.
    fn give_up(&mut self, key: &Key, is_refresh: bool) {
        match is_refresh {
            true => drop(self.refreshing.remove(key.name())),
            false => drop(self.entries.take(&place(key))),
        }
    }

    fn refusal(&mut self, key: &Key, grant: &Grant, loaded: &Content, now: u64) -> Option<FillRefusal> {
        self.end_guards(now);
        let min_version = self.entries.held(&place(key), now).and_then(Held::min_version).unwrap_or(0);
        let Some(fence) = self.fence.as_ref().filter(|fence| fence.generation == grant.generation) else {
            return Some(FillRefusal::Generation);
        };
        let later = |clock: Option<&u64>| clock.is_some_and(|clock| *clock > grant.clock);
        if later(Some(&fence.floor)) {
            return Some(FillRefusal::BelowFloor);
        }
        if loaded.tags.iter().any(|tag| later(fence.tags.get(tag.as_str()))) {
            return Some(FillRefusal::Fenced);
        }
        if loaded.version.unwrap_or(0) < min_version {
            return Some(FillRefusal::VersionOutdated);
        }
        let names = |guard: &Guard| match guard.member[TOKEN_LEN..].split_at(2) {
            ("k:", name) => name == key.local_name(),
            (_, name) => loaded.tags.iter().any(|tag| tag.as_str() == name),
        };
        self.guards.iter().any(names).then_some(FillRefusal::Guarded)
    }

    /// `UNLINK`. Returns whether there was an entry or a lease.
    pub(super) fn remove(&mut self, key: &Key, now: u64) -> bool {
        self.entries.held(&place(key), now).is_some() && self.entries.take(&place(key)).is_some()
    }

    /// `remove_older.lua`. Returns whether an entry was removed.
    pub(super) fn remove_older(&mut self, key: &Key, version: u64, now: u64) -> bool {
        let place = place(key);
        let Some(held) = self.entries.held(&place, now) else { return false };
        if held.is_value() {
            let is_older = held.value().and_then(|entry| entry.version).is_none_or(|shown| shown < version);
            return is_older && self.entries.take(&place).is_some();
        }
        if held.min_version().unwrap_or(0) < version {
            let raw = [held.token(), format!(" least={version}").as_bytes()].concat().into();
            let ends = held.ends;
            self.entries.put(place, Held { raw, ends });
        }
        false
    }

    /// `invalidate_tag.lua`. Returns how many entries existed.
    pub(super) fn remove_tag(&mut self, tag: &str, now: u64) -> u64 {
        self.fence_tag(tag);
        let members = self.entries.members(tag, now);
        members.iter().filter(|place| self.entries.take(place).is_some()).count() as u64
    }

    /// Fences the tag, and does what `expire.lua` does for each entry. Returns how many values existed.
    pub(super) fn expire_tag(&mut self, tag: &str, now: u64) -> u64 {
        self.fence_tag(tag);
        let members = self.entries.members(tag, now);
        members.into_iter().filter(|place| self.expire(place)).count() as u64
    }

    /// `expire.lua` for one key. Returns whether it held a value.
    pub(super) fn expire_key(&mut self, name: &str, now: u64) -> bool {
        let place = place_of(Bytes::copy_from_slice(name.as_bytes()));
        self.entries.held(&place, now).is_some() && self.expire(&place)
    }

    fn expire(&mut self, place: &Place) -> bool {
        let Some(held) = self.entries.take(place).filter(Held::is_value) else { return false };
        let Some(raw) = with_soft_ttl_zero(&held.raw) else { return false };
        self.entries.put(place.clone(), Held { raw, ends: held.ends });
        true
    }

    /// `fence_tags.lua`, for one tag.
    pub(super) fn fence_tag(&mut self, tag: &str) {
        let fence = self.fence.get_or_insert_with(Fence::new);
        fence.clock += 1;
        if fence.tags.len() >= MAX_FENCES {
            fence.tags.clear();
            fence.floor = fence.clock;
        }
        fence.tags.insert(tag.into(), fence.clock);
    }

    /// Drops the generation: no load in flight can be stored.
    pub(super) fn drop_generation(&mut self) {
        self.fence = None;
    }

    /// `guard.lua`.
    pub(super) fn place_guard<'m>(&mut self, members: impl IntoIterator<Item = &'m String>, ends: u64) {
        self.guards.extend(members.into_iter().map(|member| Guard { member: member.clone(), ends }));
    }

    /// Removes the members of a guard. Returns how many were still there.
    pub(super) fn remove_guard<'m>(&mut self, members: impl IntoIterator<Item = &'m String>) -> usize {
        let members: HashSet<&String> = members.into_iter().collect();
        let before = self.guards.len();
        self.guards.retain(|guard| !members.contains(&guard.member));
        before - self.guards.len()
    }

    /// `guarded.lua`: after a guard that ended without being removed, refuses the loads that have begun before this
    /// call.
    fn end_guards(&mut self, now: u64) {
        let before = self.guards.len();
        self.guards.retain(|guard| guard.ends > now);
        if self.guards.len() < before {
            let fence = self.fence.get_or_insert_with(Fence::new);
            fence.clock += 1;
            fence.floor = fence.clock;
        }
    }

    /// Removes up to `count` entries that have ended, and the refresh locks that have ended. Returns how many entries
    /// it removed.
    pub(super) fn sweep(&mut self, count: usize, now: u64) -> usize {
        self.refreshing.retain(|_, lock| lock.ends > now);
        self.entries.sweep(count, now)
    }

    /// Returns what a key holds, as stored, and the milliseconds until it ends.
    pub(super) fn inspect(&mut self, key: &Key, now: u64) -> Option<(Bytes, u64)> {
        self.entries.held(&place(key), now).map(|held| (held.raw.clone(), held.ends - now))
    }

    fn holds(&mut self, key: &Key, token: &[u8], now: u64) -> bool {
        self.entries.held(&place(key), now).is_some_and(|held| held.token() == token)
    }

    fn grant(&mut self, token: Bytes) -> Grant {
        let fence = self.fence.get_or_insert_with(Fence::new);
        Grant { token, generation: fence.generation.clone(), clock: fence.clock }
    }
}

/// Returns the bytes of a value with a new id and a soft TTL of zero, so that it is stale.
fn with_soft_ttl_zero(raw: &[u8]) -> Option<Bytes> {
    let line = memchr::memchr(b'\n', raw)?;
    let header = std::str::from_utf8(&raw[TOKEN_LEN..line]).ok()?;
    let (before, rest) = header.split_once(" soft=")?;
    let after = rest.trim_start_matches(|c: char| c.is_ascii_digit());
    let head = format!("V{}{before} soft=0{after}", RandomId::random());
    Some([head.as_bytes(), &raw[line..]].concat().into())
}

#[cfg(test)]
mod tests;
