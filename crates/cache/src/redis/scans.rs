//! The operations that look through a partition: the scan of its names, the sweep of its registry, the inspection of
//! entries.

use bytes::Bytes;
use fred::error::Error;
use fred::interfaces::{ClientLike, SetsInterface};
use fred::types::config::Options;
use fred::types::{ClusterHash, CustomCommand};
use redis_connect::primary_of;

use super::error::{Result, StoreError};
use super::store::{RedisStore, args};
use crate::entry::StoredValue;
use crate::keyspace::Key;
use crate::keyspace::Tag;

/// Registrations that one script call of the sweep examines.
const SWEEP: u64 = 128;

/// An entry without its body.
#[derive(Debug)]
pub(crate) struct InspectedEntry {
    pub(crate) held: StoredValue,
    /// Bytes of header and body.
    pub(crate) size: usize,
    /// Remaining time to live in milliseconds.
    pub(crate) left: i64,
}

#[derive(Debug)]
pub(crate) struct SweepReply {
    /// Registrations that it removed.
    pub(crate) removed: u64,
    /// Whether another call right now would find about as many.
    pub(crate) more: bool,
}

impl RedisStore {
    /// Returns the next cursor (`0` at the end) and one page of the names of strings under the prefix, without the
    /// cache's own names. A stream under the prefix belongs to another program.
    pub(crate) async fn scan(&self, partition: u16, cursor: &str, count: u32) -> Result<(String, Vec<String>)> {
        self.connection.ready()?;
        // A keyspace name contains no character that is special in a pattern.
        let pattern = format!("{}[^~]*", self.keyspace.prefix(partition));
        // On the server that has the partition, and on no other: SCAN has no key, so no server refuses it.
        let unknown = |error: Error| StoreError::Unavailable(error.details().to_owned());
        let cluster_node = primary_of(&self.connection.client, self.keyspace.prefix(partition)).map_err(unknown)?;
        let client = self.connection.client.with_options(&Options { cluster_node, ..Options::default() });
        let scan = CustomCommand::new_static("SCAN", ClusterHash::Random, false);
        let args = args![cursor, "MATCH", pattern, "COUNT", i64::from(count), "TYPE", "string"];
        let page = client.custom(scan, args).await;
        let (next, names): (String, Vec<Bytes>) = self.connection.accept(page)?;
        // A name that is not text is not a name of this cache.
        Ok((next, names.into_iter().filter_map(|name| String::from_utf8(name.into()).ok()).collect()))
    }

    /// Fails if a server has handed entries of the partition over since its generation was dropped: a scan may have missed
    /// them. The fence table is gone by then, so a cluster answers with ASK while the slot migrates, and with MOVED afterwards.
    pub(crate) async fn check_scanned(&self, partition: u16) -> Result<()> {
        match self.connection.is_cluster {
            true => self.drop_generation(partition).await,
            false => Ok(()),
        }
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
            Some(InspectedEntry { held: StoredValue::parse_header(line), size, left })
        });
        Ok(seen.collect())
    }

    /// Returns how many entries of a partition are registered under `tag`.
    pub(crate) async fn tag_size(&self, partition: u16, tag: &Tag) -> Result<u64> {
        self.connection.ready()?;
        self.connection.accept(self.connection.client.scard(self.keyspace.tag_set(partition, tag)).await)
    }
}
