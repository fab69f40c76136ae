//! The operations that invalidate entries.

use std::time::Duration;

use fred::clients::{Client, Pipeline};
use fred::error::{Error, ErrorKind};
use fred::interfaces::{ClientLike, KeysInterface};
use fred::types::scripts::Script;
use fred::types::{ClusterHash, CustomCommand, Value};

use super::error::Result;
use super::holders::Holders;
use super::scans::ScannedServer;
use super::store::{Call, RedisStore, args, is_unknown_script};
use crate::keyspace::Key;
use crate::keyspace::Tag;
use crate::lease::RandomId;

/// The maximum number of keys, or of tags, in one command.
pub(crate) const MAX_KEYS_PER_COMMAND: usize = 64;
/// Members that one script call removes at most. A call of a large set takes up to 14 µs for each, so other commands wait
/// for about 2 ms (`make bench` measures it).
const REMOVE_BATCH: i64 = 128;
/// Values that one script call rewrites at most; each is read and written completely.
const EXPIRE_BATCH: i64 = 64;
/// The maximum number of fences in all partitions together. A partition that exceeds its share replaces its fences by
/// one floor, which applies to all tags.
const MAX_FENCES: i64 = 10_000;
/// Fences that a partition keeps at least.
const MIN_FENCES_PER_PARTITION: i64 = 100;

/// A part of an invalidation within one partition.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Keys(Vec<Key>),
    /// Entries that show an older version than the one given with each.
    Older(Vec<(Key, u64)>),
    /// The entries of one partition that carry any of these tags, of which there is at least one.
    Tags(u16, Vec<Tag>),
}

impl Step {
    /// Divides keys of one partition into steps.
    pub(crate) fn of_keys(keys: &[Key]) -> impl Iterator<Item = Self> {
        keys.chunks(MAX_KEYS_PER_COMMAND).map(|some| Self::Keys(some.to_vec()))
    }

    /// Divides keys of one partition, each with a version, into steps.
    pub(crate) fn of_versions(entries: &[(Key, u64)]) -> impl Iterator<Item = Self> {
        entries.chunks(MAX_KEYS_PER_COMMAND).map(|some| Self::Older(some.to_vec()))
    }

    /// Divides tags into steps for one of `partitions` partitions.
    pub(crate) fn of_tags(tags: &[Tag], partition: u16, partitions: u16) -> impl Iterator<Item = Self> {
        // In one partition, one call fences a tag and removes its entries. In many, most calls would find no entry.
        let at_once = if partitions == 1 { 1 } else { MAX_KEYS_PER_COMMAND };
        tags.chunks(at_once).map(move |some| Self::Tags(partition, some.to_vec()))
    }
}

/// A position among the entries that carry a tag: first in its set, then in the set that a hard invalidation empties.
#[derive(Debug)]
pub(crate) struct TagCursor {
    server: ScannedServer,
    is_emptying: bool,
    at: String,
}

impl TagCursor {
    /// Returns the position of the first entry on a server.
    pub(crate) fn first(server: ScannedServer) -> Self {
        Self { server, is_emptying: false, at: "0".to_owned() }
    }
}

/// The state of the removal of a tag's entries, after the fence.
struct TagRemoval {
    stage: String,
    removed: u64,
}

impl RedisStore {
    /// Removes the entries of one step. Returns how many existed.
    pub(crate) async fn remove(&self, step: &Step) -> Result<u64> {
        match step {
            Step::Keys(keys) => self.connection.unlink(keys.iter().map(Key::bytes)).await,
            Step::Older(entries) => {
                let (keys, versions) = versioned_removal(entries);
                self.run(&self.scripts.remove_older, keys, versions).await
            }
            Step::Tags(partition, tags) => {
                let (script, (keys, args)) = self.first_call(*partition, tags);
                let reply = self.run(script, keys, args).await?;
                self.remove_tagged(*partition, self.begun(tags, reply)?).await
            }
        }
    }

    /// Removes the entries of some steps, and lists the processes that may hold copies, in one round trip. Returns how
    /// many existed. The list is `None` when Redis made it before everything was removed.
    pub(crate) async fn remove_and_list(&self, steps: &[Step], bound: Duration) -> Result<(u64, Option<Holders>)> {
        self.connection.ready()?;
        let pipeline = self.connection.client.pipeline();
        for step in steps {
            match step {
                Step::Keys(keys) => {
                    let keys: Vec<_> = keys.iter().map(Key::bytes).collect();
                    let queued: std::result::Result<(), Error> = pipeline.unlink(keys).await;
                    self.connection.accept(queued)?;
                }
                Step::Older(entries) => {
                    self.queue(&pipeline, &self.scripts.remove_older, versioned_removal(entries)).await?
                }
                Step::Tags(partition, tags) => {
                    let (script, call) = self.first_call(*partition, tags);
                    self.queue(&pipeline, script, call).await?;
                }
            }
        }
        self.queue(&pipeline, &self.scripts.list_holders, self.holders_call(bound)).await?;
        let mut replies = pipeline.try_all::<Value>().await.into_iter();
        let mut next = || replies.next().unwrap_or_else(|| Err(Error::new(ErrorKind::Canceled, "no reply")));
        let (mut total, mut is_complete) = (0, true);
        for step in steps {
            let reply = next();
            if is_unknown_script(&reply) {
                is_complete = false;
                total += self.remove(step).await?;
                continue;
            }
            let reply = self.connection.accept(reply)?;
            match step {
                Step::Keys(_) | Step::Older(_) => total += self.connection.accept(reply.convert::<u64>())?,
                Step::Tags(partition, tags) => {
                    let removals = self.begun(tags, reply)?;
                    is_complete &= removals.iter().all(|(_, removal)| removal.is_done());
                    total += self.remove_tagged(*partition, removals).await?;
                }
            }
        }
        let listed = next();
        if !is_complete || is_unknown_script(&listed) {
            return Ok((total, None));
        }
        Ok((total, Some(Holders::parse(self.connection.accept(listed)?)?)))
    }

    /// Adds the call of a script. fred's pipelines have no method for that.
    async fn queue(&self, pipeline: &Pipeline<Client>, script: &Script, (keys, args): Call) -> Result<()> {
        let evalsha = CustomCommand::new_static("EVALSHA", ClusterHash::FirstKey, false);
        let head = args![script.sha1().to_string(), keys.len().to_string()];
        let parts: Vec<Value> = head.into_iter().chain(keys.into_iter().map(Value::from)).chain(args).collect();
        self.connection.accept(pipeline.custom(evalsha, parts).await)
    }

    /// Returns the script with which the removal of tags begins. It fences them all.
    ///
    /// For one tag, it removes entries as well. For several, it only returns how many sets each tag has: in a keyspace
    /// with many partitions, few of the tags have entries in this one.
    fn first_call(&self, partition: u16, tags: &[Tag]) -> (&Script, Call) {
        match tags {
            [tag] => (&self.scripts.invalidate_tag, self.tag_call(partition, tag, "begin")),
            tags => (&self.scripts.fence_tags, self.fence_call(partition, tags)),
        }
    }

    /// Reads the reply to the first call.
    fn begun<'a>(&self, tags: &'a [Tag], reply: Value) -> Result<Vec<(&'a Tag, TagRemoval)>> {
        if let [tag] = tags {
            let (removed, stage) = self.connection.accept(reply.convert())?;
            return Ok(vec![(tag, TagRemoval { stage, removed })]);
        }
        let sets: Vec<u64> = self.connection.accept(reply.convert())?;
        let in_use = tags.iter().zip(sets).filter(|(_, sets)| *sets > 0);
        Ok(in_use.map(|(tag, _)| (tag, TagRemoval::fenced())).collect())
    }

    /// Continues to remove the entries of one partition that carry these tags. Returns how many existed.
    async fn remove_tagged(&self, partition: u16, removals: Vec<(&Tag, TagRemoval)>) -> Result<u64> {
        let mut total = 0;
        for (tag, mut removal) in removals {
            while !removal.is_done() {
                let (keys, args) = self.tag_call(partition, tag, &removal.stage);
                let (removed, stage): (u64, String) = self.run(&self.scripts.invalidate_tag, keys, args).await?;
                removal = TagRemoval { stage, removed: removal.removed + removed };
            }
            total += removal.removed;
        }
        Ok(total)
    }

    fn tag_call(&self, partition: u16, tag: &Tag, stage: &str) -> Call {
        let keys = vec![
            self.keyspace.fence(partition),
            self.keyspace.tag_set(partition, tag),
            self.keyspace.emptying_set(partition, tag),
        ];
        let prefix = self.keyspace.prefix(partition);
        (keys, args![tag.as_str(), stage, REMOVE_BATCH, prefix, RandomId::random().to_string(), self.max_fences()])
    }

    /// Marks the entries of one partition that carry any of `tags` as stale. Returns how many existed.
    pub(crate) async fn expire_tags(&self, partition: u16, tags: &[Tag]) -> Result<u64> {
        let sets = self.fence_tags(partition, tags).await?;
        let mut total = 0;
        for (tag, _) in tags.iter().zip(sets).filter(|(_, sets)| *sets > 0) {
            total += self.expire_tagged(partition, tag).await?;
        }
        Ok(total)
    }

    async fn expire_tagged(&self, partition: u16, tag: &Tag) -> Result<u64> {
        let (mut total, mut cursor) = (0, Some(TagCursor::first(self.scanned_server(partition)?)));
        while let Some(at) = cursor {
            let (next, names) = self.scan_tag(partition, tag, at).await?;
            for some in names.chunks(EXPIRE_BATCH as usize) {
                total += self.expire(some.to_vec()).await?;
            }
            cursor = next;
        }
        Ok(total)
    }

    /// Fences tags: afterwards, no older load can be stored, so a scan finds every entry that carries one of them.
    /// Returns for each tag how many of its sets exist; 0 means that no entry carries it.
    pub(crate) async fn fence_tags(&self, partition: u16, tags: &[Tag]) -> Result<Vec<u64>> {
        let (keys, args) = self.fence_call(partition, tags);
        self.run(&self.scripts.fence_tags, keys, args).await
    }

    fn fence_call(&self, partition: u16, tags: &[Tag]) -> Call {
        let (mut keys, mut args) =
            (vec![self.keyspace.fence(partition)], args![RandomId::random().to_string(), self.max_fences()]);
        for tag in tags {
            keys.extend([self.keyspace.tag_set(partition, tag), self.keyspace.emptying_set(partition, tag)]);
            args.push(tag.as_str().into());
        }
        (keys, args)
    }

    /// Returns one page of the names of the entries in a partition that carry `tag`, and where the next one begins.
    pub(crate) async fn scan_tag(
        &self, partition: u16, tag: &Tag, cursor: TagCursor,
    ) -> Result<(Option<TagCursor>, Vec<String>)> {
        self.connection.ready()?;
        let set = match cursor.is_emptying {
            false => self.keyspace.tag_set(partition, tag),
            true => self.keyspace.emptying_set(partition, tag),
        };
        let scan = CustomCommand::new_static("SSCAN", ClusterHash::FirstKey, false);
        let args = args![set, cursor.at.as_str(), "COUNT", EXPIRE_BATCH];
        let page = self.client_of(&cursor.server).custom(scan, args).await;
        let (at, members): (String, Vec<String>) = self.connection.accept(page)?;
        let prefix = self.keyspace.prefix(partition);
        let names = members.iter().map(|bare| format!("{prefix}{bare}")).collect();
        let next = match (at.as_str(), cursor.is_emptying) {
            ("0", true) => None,
            // In this order, because a hard invalidation moves members in that direction.
            ("0", false) => Some(TagCursor { is_emptying: true, ..TagCursor::first(cursor.server) }),
            _ => Some(TagCursor { at, ..cursor }),
        };
        Ok((next, names))
    }

    /// Marks entries as stale. Returns how many existed.
    pub(crate) async fn expire(&self, names: Vec<String>) -> Result<u64> {
        if names.is_empty() {
            return Ok(0);
        }
        self.run(&self.scripts.expire, names, args![RandomId::random().to_string()]).await
    }

    /// Returns the maximum number of fences in one partition: its share of `MAX_FENCES`, but at least
    /// `MIN_FENCES_PER_PARTITION`.
    fn max_fences(&self) -> i64 {
        (MAX_FENCES / i64::from(self.keyspace.partitions())).max(MIN_FENCES_PER_PARTITION)
    }
}

impl TagRemoval {
    fn fenced() -> Self {
        Self { stage: "queue".to_owned(), removed: 0 }
    }

    fn is_done(&self) -> bool {
        self.stage == "done"
    }
}

fn versioned_removal(entries: &[(Key, u64)]) -> Call {
    entries.iter().map(|(key, version)| (key.to_string(), Value::from(version.to_string()))).unzip()
}
