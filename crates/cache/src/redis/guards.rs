//! The operations on write guards.

use std::collections::BTreeSet;
use std::time::Duration;

use fred::interfaces::ClientLike;
use fred::types::{ClusterHash, CustomCommand, Value};

use super::error::Result;
use super::store::{RedisStore, args, millis};
use crate::keyspace::{Key, Tag};
use crate::lease::RandomId;

/// The members of one write guard in one partition.
#[derive(Debug)]
pub(crate) struct GuardMembers {
    partition: u16,
    pub(crate) members: BTreeSet<String>,
}

impl GuardMembers {
    /// Returns the members of a new guard on these names: a key is guarded in its partition, a tag in every partition.
    pub(crate) fn of(keys: &[Key], tags: &[Tag], partitions: u16) -> Vec<Self> {
        let id = RandomId::random();
        let in_partition = |partition| {
            let keys = keys.iter().filter(|key| key.partition() == partition);
            let keys = keys.map(|key| format!("{id} k:{}", key.local_name()));
            // A set, because the members are counted when they are removed.
            let members: BTreeSet<String> = keys.chain(tags.iter().map(|tag| format!("{id} t:{tag}"))).collect();
            (!members.is_empty()).then_some(Self { partition, members })
        };
        (0..partitions).filter_map(in_partition).collect()
    }
}

impl RedisStore {
    /// Places the part of a guard that lies in one partition. It ends by itself after `ttl`.
    pub(crate) async fn place_guard(&self, guard: &GuardMembers, ttl: Duration) -> Result<()> {
        let members = guard.members.iter().map(|member| Value::from(member.as_str()));
        let args = args![millis(ttl)].into_iter().chain(members).collect();
        let _added: u64 = self.run(&self.scripts.guard, vec![self.keyspace.guards(guard.partition)], args).await?;
        Ok(())
    }

    /// Removes the part of a guard that lies in one partition. Returns whether all of its members were still there.
    pub(crate) async fn remove_guard(&self, guard: &GuardMembers) -> Result<bool> {
        self.connection.ready()?;
        let zrem = CustomCommand::new_static("ZREM", ClusterHash::FirstKey, false);
        let set = self.keyspace.guards(guard.partition);
        let words = std::iter::once(&set).chain(&guard.members).map(|word| Value::from(word.as_str()));
        let reply = self.connection.client.custom(zrem, words.collect::<Vec<Value>>()).await;
        let removed: usize = self.connection.accept(reply)?;
        Ok(removed == guard.members.len())
    }
}
