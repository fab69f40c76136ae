//! The operations that look through a partition: the scan of its names, the sweep of its registry, the inspection of
//! entries.

use bytes::Bytes;
use fred::clients::WithOptions;
use fred::error::Error;
use fred::interfaces::{ClientLike, KeysInterface, SetsInterface};
use fred::prelude::Client;
use fred::types::config::{Options, Server};
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

/// The server that has a partition when a scan of it begins; `None` without a cluster, which has one server. Every command of
/// the scan goes there: the cursor of one server means nothing to another.
#[derive(Clone, Debug, Default)]
pub(crate) struct ScannedServer(Option<Server>);

#[derive(Debug)]
pub(crate) struct SweepReply {
    /// Registrations that it removed.
    pub(crate) removed: u64,
    /// Whether another call right now would find about as many.
    pub(crate) more: bool,
}

impl RedisStore {
    /// Returns the server that a scan of a partition asks.
    pub(crate) fn scanned_server(&self, partition: u16) -> Result<ScannedServer> {
        let unknown = |error: Error| StoreError::Unavailable(error.details().to_owned());
        primary_of(&self.connection.client, self.keyspace.prefix(partition)).map(ScannedServer).map_err(unknown)
    }

    /// Returns a client whose commands go to one server, wherever their slot is.
    pub(super) fn client_of(&self, server: &ScannedServer) -> WithOptions<Client> {
        self.connection.client.with_options(&Options { cluster_node: server.0.clone(), ..Options::default() })
    }

    /// Returns the next cursor (`0` at the end) and one page of the names of strings under the prefix, without the
    /// cache's own names. A stream under the prefix belongs to another program.
    ///
    /// `SCAN` has no key, so no server refuses it: a server that has handed entries over leaves them out.
    pub(crate) async fn scan(
        &self, server: &ScannedServer, partition: u16, cursor: &str, count: u32,
    ) -> Result<(String, Vec<String>)> {
        self.connection.ready()?;
        // A keyspace name contains no character that is special in a pattern.
        let pattern = format!("{}[^~]*", self.keyspace.prefix(partition));
        let scan = CustomCommand::new_static("SCAN", ClusterHash::Random, false);
        let args = args![cursor, "MATCH", pattern, "COUNT", i64::from(count), "TYPE", "string"];
        let page = self.client_of(server).custom(scan, args).await;
        let (next, names): (String, Vec<Bytes>) = self.connection.accept(page)?;
        // A name that is not text is not a name of this cache.
        Ok((next, names.into_iter().filter_map(|name| String::from_utf8(name.into()).ok()).collect()))
    }

    /// Drops the fence table of a partition, and with it the generation: no load in flight can be stored. Fails like
    /// [`remove_scanned`](Self::remove_scanned).
    ///
    /// It only removes data, so it also works when Redis has no memory left.
    pub(crate) async fn drop_generation(&self, server: &ScannedServer, partition: u16) -> Result<()> {
        self.unlink_if_complete(server, partition, vec![self.keyspace.fence(partition)]).await.map(drop)
    }

    /// Removes the entries that one page of a scan has returned. Returns how many existed.
    ///
    /// In a cluster, it fails if the server does not have the whole partition: the scan may have missed what another server
    /// has.
    pub(crate) async fn remove_scanned(&self, server: &ScannedServer, partition: u16, keys: &[Key]) -> Result<u64> {
        self.unlink_if_complete(server, partition, keys.iter().map(Key::to_string).collect()).await
    }

    /// Removes names of one partition. The command also has a name that never exists: while the slot migrates, the server
    /// answers with `ASK` or `TRYAGAIN`, and after that with `MOVED`.
    async fn unlink_if_complete(&self, server: &ScannedServer, partition: u16, mut names: Vec<String>) -> Result<u64> {
        self.connection.ready()?;
        if self.connection.is_cluster {
            names.push(self.keyspace.never_used(partition));
        }
        if names.is_empty() {
            return Ok(0);
        }
        self.connection.accept(self.client_of(server).unlink(names).await)
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
