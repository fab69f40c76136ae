//! The operations of the cache on Redis, each one command or one script.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use fred::error::{Error, ErrorKind};
use fred::interfaces::{ClientLike, KeysInterface, LuaInterface, SetsInterface};
use fred::types::scan::ScanType;
use fred::types::scripts::Script;
use fred::types::{ClusterHash, CustomCommand, FromValue, Value};

use super::Connection;
use super::reads::ReadCoalescer;
use super::scripts::Scripts;
use crate::entry::StoredValue;
use crate::{CacheSettings, ConnectError, FillRefusal, Key, Keyspace, Tag};

/// Builds the arguments of a script or command.
macro_rules! args {
    ($($arg:expr),+ $(,)?) => { vec![$(Value::from($arg)),+] };
}

/// Members that one script call removes at most, so that it stays short.
const REMOVE_BATCH: i64 = 512;
/// Values that one script call rewrites at most; each is read and written completely.
const EXPIRE_BATCH: i64 = 64;
/// Registrations that one script call of the sweep examines.
const SWEEP: u64 = 128;
/// Fences that all partitions together keep at most; beyond its share, a partition folds its fences into the floor.
const MAX_FENCES: i64 = 10_000;
/// Fences that a partition keeps at least.
const FENCES_EACH: i64 = 100;

/// Access to Redis for one keyspace.
#[derive(Debug)]
pub(crate) struct Store {
    pub(crate) connection: Connection,
    reads: Arc<ReadCoalescer>,
    keyspace: Keyspace,
    scripts: Scripts,
}

/// 128 random bits, drawn anew for each use. A command that may have run is never sent again with the same ones.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct RandomId(u128);

/// The state of the fence table when a load was allowed to begin.
#[derive(Clone, Debug)]
pub(crate) struct Grant {
    /// `L<id>` or `V<id>`: what the entry must still hold when the load is committed.
    token: Bytes,
    generation: Bytes,
    clock: u64,
}

/// The reply to a request for the lease.
pub(crate) enum AcquireReply {
    /// The caller may load the entry and store the value.
    Granted(Grant),
    /// The entry exists, or another client is loading it.
    Held(StoredValue),
}

/// The reply to a commit.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum CommitReply {
    Stored(RandomId),
    Refused(FillRefusal),
}

/// An entry without its body.
#[derive(Debug)]
pub(crate) struct InspectedEntry {
    pub(crate) held: StoredValue,
    /// Bytes of header and body.
    pub(crate) size: usize,
    /// Remaining time to live in milliseconds.
    pub(crate) left: i64,
}

/// The result of one call of the sweep.
#[derive(Debug)]
pub(crate) struct SweepReply {
    /// Registrations that it removed.
    pub(crate) removed: u64,
    /// Whether another call right now would find about as many.
    pub(crate) more: bool,
}

/// The operation was not carried out.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreError {
    /// Not sent (breaker open) or not answered in time. A command that was sent may still run.
    #[error("Redis is unavailable: {0}")]
    Unavailable(String),
    /// Answered with an error, such as OOM.
    #[error("Redis answered: {0}")]
    Server(String),
}

type Result<T> = std::result::Result<T, StoreError>;

impl Store {
    pub(crate) async fn open(keyspace: Keyspace, settings: &CacheSettings) -> std::result::Result<Self, ConnectError> {
        let connection = Connection::open(settings, keyspace.name()).await?;
        let reads = ReadCoalescer::new(connection.client.clone());
        Ok(Self { connection, reads, keyspace, scripts: Scripts::new() })
    }

    /// Reads an entry, as on a hit: one plain `GET`, or a part of an `MGET`.
    pub(crate) async fn get(&self, key: &Key) -> Result<Option<StoredValue>> {
        self.ready()?;
        let raw = match self.keyspace.partitions() {
            1 => self.reads.get(key.bytes()).await,
            // Keys of different partitions are in different slots, and an MGET must not span slots.
            _ => self.connection.client.get(key.bytes()).await,
        };
        match self.answer(raw) {
            Err(StoreError::Server(error)) if error.starts_with("WRONGTYPE") => Ok(Some(StoredValue::Unreadable)),
            raw => Ok(raw?.map(StoredValue::parse)),
        }
    }

    /// Acquires the lease of an absent entry.
    pub(crate) async fn acquire(&self, key: &Key, lease: Duration) -> Result<AcquireReply> {
        let id = RandomId::random();
        let args = args![id.to_string(), millis(lease), RandomId::random().to_string()];
        match self.run(&self.scripts.acquire, self.entry_keys(key), args).await {
            Ok(reply @ Value::Array(_)) => self.grant(id.token('L'), reply).map(AcquireReply::Granted),
            Ok(held) => Ok(AcquireReply::Held(held.into_bytes().map_or(StoredValue::Unreadable, StoredValue::parse))),
            Err(StoreError::Server(error)) if error.contains("WRONGTYPE") => {
                Ok(AcquireReply::Held(StoredValue::Unreadable))
            }
            Err(error) => Err(error),
        }
    }

    /// Takes over the lease, regardless of what the entry holds.
    pub(crate) async fn take_over(&self, key: &Key, lease: Duration) -> Result<Grant> {
        let id = RandomId::random();
        let args = args![id.to_string(), millis(lease), RandomId::random().to_string()];
        let reply = self.run(&self.scripts.steal, self.entry_keys(key), args).await?;
        self.grant(id.token('L'), reply)
    }

    /// Acquires the right to refresh the value with this token; `None` when the value is gone or being refreshed.
    pub(crate) async fn refresh(&self, key: &Key, token: Bytes, lock: Duration) -> Result<Option<Grant>> {
        let mut keys = self.entry_keys(key);
        keys.push(self.keyspace.refresh_lock(key));
        let args = args![token.clone(), millis(lock), RandomId::random().to_string()];
        match self.run(&self.scripts.refresh, keys, args).await? {
            Value::Null => Ok(None),
            reply => self.grant(token, reply).map(Some),
        }
    }

    /// Stores a loaded value under the grant with which its load began.
    pub(crate) async fn commit(
        &self,
        key: &Key,
        grant: Grant,
        hard_ms: u64,
        header: String,
        body: Bytes,
        tags: &[Tag],
    ) -> Result<CommitReply> {
        let id = RandomId::random();
        let mut keys = self.entry_keys(key);
        keys.push(self.keyspace.refresh_lock(key));
        keys.push(self.keyspace.registry(key.partition()));
        keys.extend(tags.iter().map(|tag| self.keyspace.tag_set(key.partition(), tag)));
        let mut args = args![
            grant.token,
            grant.generation,
            grant.clock.to_string(),
            hard_ms.to_string(),
            id.to_string(),
            header,
            body,
            key.local_name(),
            self.keyspace.prefix(key.partition()),
        ];
        args.extend(tags.iter().map(|tag| Value::from(tag.as_str())));
        let word: String = self.run(&self.scripts.commit, keys, args).await?;
        match FillRefusal::parse(&word) {
            Some(refusal) => Ok(CommitReply::Refused(refusal)),
            None => Ok(CommitReply::Stored(id)),
        }
    }

    /// Releases a lease.
    pub(crate) async fn release(&self, key: &Key, grant: Grant) -> Result<()> {
        self.run(&self.scripts.release, vec![key.to_string()], args![grant.token]).await
    }

    /// Removes entries, and with them any lease on them. Returns how many existed.
    pub(crate) async fn unlink(&self, keys: &[Key]) -> Result<u64> {
        self.ready()?;
        let keys: Vec<fred::types::Key> = keys.iter().map(|key| key.bytes().into()).collect();
        self.answer(self.connection.client.unlink(keys).await)
    }

    /// Removes the entries that show an older version than the one given with each; a load in flight is stored only if
    /// its version is not older. Returns how many were removed.
    pub(crate) async fn remove_older(&self, entries: &[(Key, u64)]) -> Result<u64> {
        let (keys, versions) =
            entries.iter().map(|(key, version)| (key.to_string(), Value::from(version.to_string()))).unzip();
        self.run(&self.scripts.remove_older, keys, versions).await
    }

    /// Removes the entries of one partition that carry `tag`. Returns how many existed.
    pub(crate) async fn invalidate_tag(&self, partition: u16, tag: &Tag) -> Result<u64> {
        let (mut stage, mut total) = ("begin".to_owned(), 0);
        while stage != "done" {
            let keys = vec![
                self.keyspace.fence(partition),
                self.keyspace.tag_set(partition, tag),
                self.keyspace.emptying_set(partition, tag),
            ];
            let prefix = self.keyspace.prefix(partition);
            let args = args![tag.as_str(), stage, REMOVE_BATCH, prefix, RandomId::random().to_string(), self.fences()];
            let removed: u64;
            (removed, stage) = self.run(&self.scripts.invalidate_tag, keys, args).await?;
            total += removed;
        }
        Ok(total)
    }

    /// Marks the entries of one partition that carry `tag` as stale. Returns how many existed.
    pub(crate) async fn expire_tag(&self, partition: u16, tag: &Tag) -> Result<u64> {
        let fence = vec![self.keyspace.fence(partition)];
        let args = args![tag.as_str(), RandomId::random().to_string(), self.fences()];
        // The fence first: after it, no older load can be stored, so the scans find every relevant value. The tag set
        // before the emptying set, because a hard invalidation moves members in that direction.
        let _clock: u64 = self.run(&self.scripts.fence_tag, fence, args).await?;
        Ok(self.expire_members(partition, self.keyspace.tag_set(partition, tag)).await?
            + self.expire_members(partition, self.keyspace.emptying_set(partition, tag)).await?)
    }

    async fn expire_members(&self, partition: u16, set: String) -> Result<u64> {
        let prefix = self.keyspace.prefix(partition);
        let (mut cursor, mut total) = ("0".to_owned(), 0);
        loop {
            self.ready()?;
            let scan = CustomCommand::new_static("SSCAN", ClusterHash::FirstKey, false);
            let page =
                self.connection.client.custom(scan, args![set.as_str(), cursor.as_str(), "COUNT", EXPIRE_BATCH]).await;
            let (next, members): (String, Vec<String>) = self.answer(page)?;
            for some in members.chunks(EXPIRE_BATCH as usize) {
                total += self.expire(some.iter().map(|bare| format!("{prefix}{bare}")).collect()).await?;
            }
            if next == "0" {
                return Ok(total);
            }
            cursor = next;
        }
    }

    /// Marks entries as stale. Returns how many existed.
    pub(crate) async fn expire(&self, names: Vec<String>) -> Result<u64> {
        if names.is_empty() {
            return Ok(0);
        }
        self.run(&self.scripts.soften, names, args![RandomId::random().to_string()]).await
    }

    /// Drops the fence table of a partition, and with it the generation: no load in flight can be stored.
    ///
    /// It removes and adds nothing, so it also works on a full Redis.
    pub(crate) async fn drop_generation(&self, partition: u16) -> Result<()> {
        self.ready()?;
        self.answer(self.connection.client.unlink::<i64, _>(self.keyspace.fence(partition)).await).map(drop)
    }

    /// Returns the next cursor (`0` at the end) and one page of the names of strings under the prefix, without the
    /// cache's own names. A stream under the prefix belongs to another program.
    pub(crate) async fn scan(&self, partition: u16, cursor: &str, count: u32) -> Result<(String, Vec<String>)> {
        self.ready()?;
        // A keyspace name contains no character that is special in a pattern.
        let pattern = format!("{}[^~]*", self.keyspace.prefix(partition));
        let kind = Some(ScanType::String);
        let page = self.connection.client.scan_page(cursor.to_owned(), pattern, Some(count), kind).await;
        let (next, names): (String, Vec<Bytes>) = self.answer(page)?;
        // A name that is not text is not a name of this cache.
        Ok((next, names.into_iter().filter_map(|name| String::from_utf8(name.into()).ok()).collect()))
    }

    /// Removes registrations of entries that are gone: examines those that are due, and a random sample of the others.
    pub(crate) async fn sweep(&self, partition: u16) -> Result<SweepReply> {
        let args = args![self.keyspace.prefix(partition), SWEEP.to_string()];
        let registry = vec![self.keyspace.registry(partition)];
        let (examined, removed, due): (u64, u64, u64) = self.run(&self.scripts.sweep, registry, args).await?;
        // As in the active expiry of Redis itself: if many entries of the random sample are gone, many others are as
        // well.
        Ok(SweepReply { removed, more: due == SWEEP || (removed > 0 && 4 * removed >= examined) })
    }

    /// Inspects entries of one partition. A key that is not a string, or has no TTL, is not an entry.
    pub(crate) async fn inspect(&self, keys: &[Key]) -> Result<Vec<Option<InspectedEntry>>> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let names = keys.iter().map(Key::to_string).collect();
        let seen: Vec<Option<(Bytes, usize, i64)>> = self.run(&self.scripts.inspect, names, Vec::new()).await?;
        let seen = seen.into_iter().map(|seen| {
            let (line, size, left) = seen?;
            Some(InspectedEntry { held: StoredValue::parse(line), size, left })
        });
        Ok(seen.collect())
    }

    /// Returns how many entries of a partition are registered under `tag`.
    pub(crate) async fn tag_size(&self, partition: u16, tag: &Tag) -> Result<u64> {
        self.ready()?;
        self.answer(self.connection.client.scard(self.keyspace.tag_set(partition, tag)).await)
    }

    /// The memory for fences is bounded per keyspace, regardless of the number of its partitions.
    fn fences(&self) -> i64 {
        (MAX_FENCES / i64::from(self.keyspace.partitions())).max(FENCES_EACH)
    }

    fn entry_keys(&self, key: &Key) -> Vec<String> {
        vec![key.to_string(), self.keyspace.fence(key.partition())]
    }

    fn grant(&self, token: Bytes, reply: Value) -> Result<Grant> {
        let (generation, clock): (Bytes, u64) = self.answer(reply.convert())?;
        Ok(Grant { token, generation, clock })
    }

    /// Runs a script by its hash, and once more by its text if the server does not know it yet.
    async fn run<T: FromValue>(&self, script: &Script, keys: Vec<String>, args: Vec<Value>) -> Result<T> {
        self.ready()?;
        let client = &self.connection.client;
        let reply = client.evalsha(script.sha1().clone(), keys.clone(), args.clone()).await;
        let reply = match reply {
            // NOSCRIPT means that nothing ran, so the same ids may be sent again.
            Err(error) if error.details().starts_with("NOSCRIPT") => {
                let text = script.lua().cloned().unwrap_or_default();
                client.eval(text, keys, args).await
            }
            reply => reply,
        };
        self.answer(reply)
    }

    fn ready(&self) -> Result<()> {
        match self.connection.breaker.is_closed() {
            true => Ok(()),
            false => Err(StoreError::Unavailable("left alone until it answers a probe".to_owned())),
        }
    }

    fn answer<T>(&self, reply: std::result::Result<T, Error>) -> Result<T> {
        let error = match reply {
            Ok(value) => {
                self.connection.breaker.answered();
                return match self.connection.epoch.is_verified() {
                    true => Ok(value),
                    false => Err(StoreError::Unavailable("connection not yet verified".to_owned())),
                };
            }
            Err(error) => error,
        };
        match error.kind() {
            ErrorKind::IO | ErrorKind::Timeout | ErrorKind::Canceled | ErrorKind::Backpressure => {
                self.connection.failed(&error);
                Err(StoreError::Unavailable(error.details().to_owned()))
            }
            _ => {
                self.connection.breaker.answered();
                self.connection.refused(error.details());
                Err(StoreError::Server(error.details().to_owned()))
            }
        }
    }
}

impl RandomId {
    pub(crate) fn random() -> Self {
        Self(rand::random())
    }

    fn token(self, kind: char) -> Bytes {
        format!("{kind}{self}").into()
    }
}

impl fmt::Display for RandomId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for RandomId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

fn millis(duration: Duration) -> String {
    duration.as_millis().to_string()
}
