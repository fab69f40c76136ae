//! Looking at entries without touching them: for people and for routes such as `/cache/stats`.

use serde::Serialize;

use crate::entry::Held;
use crate::redis::StoreError;
use crate::{Cache, Key, Tag};

/// One entry as it lies in Redis.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub struct EntryInfo {
    /// The full name of the key.
    pub key: String,
    /// What it holds.
    pub state: EntryState,
    /// Milliseconds since it was stored, by Redis' clock.
    pub age_ms: Option<u64>,
    /// Milliseconds of freshness left; below zero for how long it has been stale.
    pub ttl_ms: Option<i64>,
    /// Milliseconds until Redis removes it.
    pub expires_in_ms: i64,
    /// The soft TTL it was stored with, in ms; 0 after a soft invalidation.
    pub soft_ttl_ms: Option<u64>,
    /// The hard TTL it was stored with, in ms.
    pub hard_ttl_ms: Option<u64>,
    /// The row's version, when the value is one row.
    pub version: Option<u64>,
    /// The tags whose invalidation removes it.
    pub tags: Vec<String>,
    /// Bytes of header and body.
    pub size_bytes: Option<usize>,
}

/// What an entry holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum EntryState {
    /// A value within its soft TTL.
    Fresh,
    /// A value past its soft TTL, or softly invalidated.
    Stale,
    /// "There is no such thing".
    Absent,
    /// A lease: somebody is loading or writing it.
    Leased,
    /// Bytes that this version did not write.
    Unreadable,
}

/// One page of the keyspace.
#[derive(Clone, Debug, Serialize)]
pub struct EntryPage {
    /// The entries, in no particular order; one may come twice while others are written.
    pub entries: Vec<EntryInfo>,
    /// Pass it on to get the next page; `None` at the end.
    pub next_cursor: Option<String>,
}

/// Redis could not be asked.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct InspectError(#[from] StoreError);

/// A cursor that no page has returned.
#[derive(Debug, thiserror::Error)]
#[error("not a cursor of this keyspace")]
pub struct BadCursor;

impl Cache {
    /// Looks at one entry; `None` when there is none.
    ///
    /// # Errors
    /// When Redis does not answer.
    pub async fn inspect(&self, key: &Key) -> Result<Option<EntryInfo>, InspectError> {
        let found = self.inner.store.inspect(key).await?;
        Ok(found.map(|(held, left)| self.info(key, &held, left)))
    }

    /// Reads a cursor as it came from outside. Each partition is walked by SCAN in turn, so it has two numbers.
    ///
    /// # Errors
    /// When it is not one that [`entries`](Self::entries) returned.
    pub fn parse_cursor(&self, text: &str) -> Result<EntryCursor, BadCursor> {
        let (partition, scan) = text.split_once('-').ok_or(BadCursor)?;
        let partition = partition.parse().map_err(|_| BadCursor)?;
        let scan: u64 = scan.parse().map_err(|_| BadCursor)?;
        if partition >= self.inner.keyspace.partitions() {
            return Err(BadCursor);
        }
        Ok(EntryCursor { partition, scan: scan.to_string() })
    }

    /// At least `limit` entries from `cursor` on, or all that are left. Uses SCAN, so it never blocks Redis.
    ///
    /// # Errors
    /// When Redis does not answer.
    pub async fn entries(&self, cursor: EntryCursor, limit: usize) -> Result<EntryPage, InspectError> {
        let EntryCursor { mut partition, mut scan } = cursor;
        let mut entries = Vec::new();
        loop {
            let (next, names) = self.inner.store.scan(partition, &scan, limit.clamp(1, 1_000) as u32).await?;
            for key in names.iter().filter_map(|name| self.inner.keyspace.parse(name)) {
                entries.extend(self.inspect(&key).await?);
            }
            scan = next;
            if scan == "0" {
                partition += 1;
            }
            let more = partition < self.inner.keyspace.partitions();
            if !more || entries.len() >= limit {
                let next_cursor = more.then(|| format!("{partition}-{scan}"));
                return Ok(EntryPage { entries, next_cursor });
            }
        }
    }

    /// How many entries are registered under `tag`, those included that expired since.
    ///
    /// # Errors
    /// When Redis does not answer.
    pub async fn tagged(&self, tag: &Tag) -> Result<u64, InspectError> {
        let mut total = 0;
        for partition in 0..self.inner.keyspace.partitions() {
            total += self.inner.store.tagged(partition, tag).await?;
        }
        Ok(total)
    }

    fn info(&self, key: &Key, held: &Held, left: i64) -> EntryInfo {
        let mut info = EntryInfo {
            key: key.to_string(),
            state: EntryState::Unreadable,
            age_ms: None,
            ttl_ms: None,
            expires_in_ms: left,
            soft_ttl_ms: None,
            hard_ttl_ms: None,
            version: None,
            tags: Vec::new(),
            size_bytes: None,
        };
        match held {
            Held::Unreadable => {}
            Held::Lease => info.state = EntryState::Leased,
            Held::Value(entry) => {
                let now = self.inner.store.connection.clock.now_ms();
                info.state = match (entry.absent, entry.ttl(now) >= 0) {
                    (true, _) => EntryState::Absent,
                    (false, true) => EntryState::Fresh,
                    (false, false) => EntryState::Stale,
                };
                info.age_ms = Some(entry.age(now));
                info.ttl_ms = Some(entry.ttl(now));
                info.soft_ttl_ms = Some(entry.soft);
                info.hard_ttl_ms = Some(entry.hard);
                info.version = entry.version;
                info.tags = entry.tags().map(str::to_owned).collect();
                info.size_bytes = Some(entry.size());
            }
        }
        info
    }
}

/// Where a walk through the keyspace stands.
#[derive(Clone, Debug)]
pub struct EntryCursor {
    partition: u16,
    scan: String,
}

impl Default for EntryCursor {
    fn default() -> Self {
        Self { partition: 0, scan: "0".to_owned() }
    }
}
