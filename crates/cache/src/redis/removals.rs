//! The operations that invalidate entries.

use fred::interfaces::ClientLike;
use fred::types::{ClusterHash, CustomCommand, Value};

use super::error::Result;
use super::store::{RandomId, Store, args};
use crate::keyspace::Key;
use crate::keyspace::Tag;

/// Members that one script call removes at most, so that it stays short.
const REMOVE_BATCH: i64 = 512;
/// Values that one script call rewrites at most; each is read and written completely.
const EXPIRE_BATCH: i64 = 64;
/// Fences that all partitions together keep at most; beyond its share, a partition folds its fences into the floor.
const MAX_FENCES: i64 = 10_000;
/// Fences that a partition keeps at least.
const FENCES_EACH: i64 = 100;

impl Store {
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
            self.connection.ready()?;
            let scan = CustomCommand::new_static("SSCAN", ClusterHash::FirstKey, false);
            let page =
                self.connection.client.custom(scan, args![set.as_str(), cursor.as_str(), "COUNT", EXPIRE_BATCH]).await;
            let (next, members): (String, Vec<String>) = self.connection.accept(page)?;
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
        self.connection.unlink([self.keyspace.fence(partition)]).await.map(drop)
    }

    /// The memory for fences is bounded per keyspace, regardless of the number of its partitions.
    fn fences(&self) -> i64 {
        (MAX_FENCES / i64::from(self.keyspace.partitions())).max(FENCES_EACH)
    }
}
