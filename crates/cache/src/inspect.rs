//! Read-only inspection of entries, for people and for routes such as `/cache/stats`.

use serde::Serialize;

use crate::client::CacheClient;
use crate::entry::StoredValue;
use crate::keyspace::Key;
use crate::keyspace::Tag;
use crate::keyspace::fnv1a;
use crate::redis::{InspectedEntry, StoreError};

/// Names that one SCAN examines, including those of other keyspaces.
const NAMES: u32 = 256;
/// SCANs for one page at most.
const SCANS: usize = 16;

/// One entry as stored in Redis.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub struct EntryInfo {
    /// The full name of the key.
    pub key: String,
    /// The state of the entry.
    pub state: EntryState,
    /// Milliseconds since the entry was stored, by Redis' clock.
    pub age_ms: Option<u64>,
    /// Remaining freshness in milliseconds; negative once the entry is stale.
    pub ttl_ms: Option<i64>,
    /// Milliseconds until Redis removes the entry.
    pub expires_in_ms: i64,
    /// The soft TTL with which the entry was stored, in ms; 0 after a soft invalidation.
    pub soft_ttl_ms: Option<u64>,
    /// The hard TTL with which the entry was stored, in ms.
    pub hard_ttl_ms: Option<u64>,
    /// The version of the row, when the value is one row.
    pub version: Option<u64>,
    /// The tags whose invalidation removes the entry.
    pub tags: Vec<String>,
    /// Bytes of header and body.
    pub size_bytes: Option<usize>,
}

/// The state of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum EntryState {
    /// A value within its soft TTL.
    Fresh,
    /// A value after its soft TTL, or after a soft invalidation.
    Stale,
    /// A value after its hard TTL, which a read returns only in place of a load that fails.
    Expired,
    /// A negative entry: the requested object does not exist.
    Absent,
    /// A lease: a client is loading or writing the entry.
    Leased,
    /// Bytes that this version cannot read.
    Unreadable,
}

/// One page of the keyspace.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct EntryPage {
    /// The entries, in no particular order. While other clients write, an entry may appear twice or be missing. A page
    /// before the last may be empty when Redis holds many other keys.
    pub entries: Vec<EntryInfo>,
    /// The cursor of the next page; `None` at the end.
    pub next_cursor: Option<String>,
}

/// One entry in the memory of this process.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct NearEntryInfo {
    /// The full name of the key.
    pub key: String,
    /// Whether a read may be answered with it now. An entry that is not servable is read again from Redis.
    pub is_servable: bool,
    /// Milliseconds since the entry was stored, by Redis' clock.
    pub age_ms: u64,
    /// Remaining freshness in milliseconds; negative once the entry is stale.
    pub ttl_ms: i64,
    /// The version of the row, when the value is one row.
    pub version: Option<u64>,
}

/// Redis was unavailable, or refused the command.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct InspectError(#[from] StoreError);

/// A cursor that no page has returned.
#[derive(Debug, thiserror::Error)]
#[error("not a cursor of this keyspace")]
pub struct InvalidCursor;

impl CacheClient {
    /// Returns one entry without changing it; `None` when there is none.
    ///
    /// # Errors
    /// Returns an error when Redis does not answer, or refuses the command.
    pub async fn inspect(&self, key: &Key) -> Result<Option<EntryInfo>, InspectError> {
        let key = self.keyspace().own(key.clone());
        let seen = self.shared.store.inspect(std::slice::from_ref(&key)).await?.pop().flatten();
        Ok(seen.map(|seen| self.info(&key, &seen)))
    }

    /// Returns what this process holds of an entry in its memory; `None` if it holds nothing. Sends no command.
    pub fn inspect_memory(&self, key: &Key) -> Option<NearEntryInfo> {
        let near = self.shared.invalidator.near.as_ref()?;
        let epoch = self.shared.invalidator.pending.epoch();
        let (entry, is_servable) = near.memory.peek(&self.keyspace().own(key.clone()), epoch)?;
        let now = self.shared.store.now_ms();
        Some(NearEntryInfo {
            key: key.to_string(),
            is_servable: is_servable && entry.age(now) < entry.hard,
            age_ms: entry.age(now),
            ttl_ms: entry.ttl(now),
            version: entry.version,
        })
    }

    /// Parses a cursor that comes from outside: three numbers, see [`EntryCursor`].
    ///
    /// # Errors
    /// Returns an error when [`entries`](Self::entries) cannot have returned it.
    pub fn parse_cursor(&self, text: &str) -> Result<EntryCursor, InvalidCursor> {
        let digits = |number: &str| number.bytes().all(|byte| byte.is_ascii_digit());
        let parse = |number: &str| number.parse::<u64>().ok().filter(|_| digits(number)).ok_or(InvalidCursor);
        let mut numbers = text.split('-').map(parse);
        let mut number = || numbers.next().ok_or(InvalidCursor)?;
        let (partition, scan, after) = (number()?, number()?, number()?);
        let partition = u16::try_from(partition).map_err(|_| InvalidCursor)?;
        if partition >= self.shared.store.keyspace.partitions() || numbers.next().is_some() {
            return Err(InvalidCursor);
        }
        Ok(EntryCursor { partition, scan: scan.to_string(), after })
    }

    /// Returns at most `limit` entries (at least 1), starting at `cursor`.
    ///
    /// It examines about 4,000 names of the whole Redis and returns the entries found among them. A page with a next
    /// cursor may be short, or empty.
    ///
    /// # Errors
    /// Returns an error when Redis does not answer, or refuses the command.
    pub async fn entries(&self, mut cursor: EntryCursor, limit: usize) -> Result<EntryPage, InspectError> {
        let (limit, store) = (limit.max(1), &self.shared.store);
        let mut entries = Vec::new();
        for _ in 0..SCANS {
            let server = store.scanned_server(cursor.partition)?;
            let (next, names) = store.scan(&server, cursor.partition, &cursor.scan, NAMES).await?;
            let keys = names.iter().filter_map(|name| self.shared.store.keyspace.parse(name));
            let mut keys: Vec<(u64, Key)> = keys.map(|key| (fnv1a(key.as_str().as_bytes()), key)).collect();
            keys.sort_unstable_by_key(|(hash, _)| *hash);
            // Earlier pages had the entries before `after`.
            keys.drain(..keys.partition_point(|(hash, _)| *hash < cursor.after));
            let rest = keys.get(limit - entries.len()).map(|(hash, _)| *hash);
            keys.truncate(limit - entries.len());
            let keys: Vec<Key> = keys.into_iter().map(|(_, key)| key).collect();
            let seen = store.inspect(&keys).await?;
            entries.extend(keys.iter().zip(seen).filter_map(|(key, seen)| Some(self.info(key, &seen?))));
            cursor = match rest {
                Some(after) => EntryCursor { after, ..cursor },
                None if next == "0" => EntryCursor { partition: cursor.partition + 1, ..EntryCursor::default() },
                None => EntryCursor { scan: next, after: 0, ..cursor },
            };
            if cursor.partition >= self.shared.store.keyspace.partitions() {
                return Ok(EntryPage { entries, next_cursor: None });
            }
            if rest.is_some() || entries.len() >= limit {
                break;
            }
        }
        let EntryCursor { partition, scan, after } = cursor;
        Ok(EntryPage { entries, next_cursor: Some(format!("{partition}-{scan}-{after}")) })
    }

    /// Returns how many entries are registered under `tag`, including those that have expired since.
    ///
    /// # Errors
    /// Returns an error when Redis does not answer, or refuses the command.
    pub async fn tag_size(&self, tag: &Tag) -> Result<u64, InspectError> {
        let mut total = 0;
        for partition in 0..self.shared.store.keyspace.partitions() {
            total += self.shared.store.tag_size(partition, tag).await?;
        }
        Ok(total)
    }

    fn info(&self, key: &Key, seen: &InspectedEntry) -> EntryInfo {
        let mut info = EntryInfo {
            key: key.to_string(),
            state: EntryState::Unreadable,
            age_ms: None,
            ttl_ms: None,
            expires_in_ms: seen.left,
            soft_ttl_ms: None,
            hard_ttl_ms: None,
            version: None,
            tags: Vec::new(),
            size_bytes: None,
        };
        match &seen.held {
            StoredValue::Unreadable => {}
            StoredValue::Lease => info.state = EntryState::Leased,
            StoredValue::Value(entry) => {
                let now = self.shared.store.now_ms();
                info.state = match entry.age(now) {
                    age if age >= entry.hard => EntryState::Expired,
                    _ if entry.absent => EntryState::Absent,
                    _ if entry.is_fresh(now) => EntryState::Fresh,
                    _ => EntryState::Stale,
                };
                info.age_ms = Some(entry.age(now));
                info.ttl_ms = Some(entry.ttl(now));
                info.soft_ttl_ms = Some(entry.soft);
                info.hard_ttl_ms = Some(entry.hard);
                info.version = entry.version;
                info.tags = entry.tags().map(str::to_owned).collect();
                info.size_bytes = Some(seen.size);
            }
        }
        info
    }
}

/// A position in the keyspace.
///
/// SCAN iterates over one partition after the other. The result of one SCAN may not fit on a page, so pages return its
/// names in the order of their hashes; `after` is the first hash that no page has returned.
#[derive(Clone, Debug)]
pub struct EntryCursor {
    partition: u16,
    scan: String,
    after: u64,
}

impl Default for EntryCursor {
    fn default() -> Self {
        Self { partition: 0, scan: "0".to_owned(), after: 0 }
    }
}
