//! Keyspaces, keys and tags: the place and the names of one service's entries in Redis.
//!
//! A [`Keyspace`] is the only source of [`Key`]s, so a mistyped `format!` cannot touch the entries of another service.
//! With one partition, the names are what a person would type: `product:ttl:1`. With more partitions, the prefix
//! contains a hash tag, `{product:3}:ttl:1`, and all keys of one script are in one slot of a cluster. Local names that
//! begin with `~` belong to the cache itself (fence table, registry, tag sets); no entry can have such a name.

use std::borrow::Borrow;
use std::fmt::{self, Display};
use std::sync::Arc;

use bytes::Bytes;
use redis_connect::RedisAddress;
use serde::{Serialize, Serializer};

use crate::names::{
    InvalidName, LONGEST_KEY, LONGEST_TAG, check_key, check_tag, is_valid_name, needs_escape, write_escaped,
};

/// The number of partitions of a keyspace on a cluster, if the caller does not set another number. A cluster may have as
/// many primaries.
const ON_CLUSTER: u16 = 16;

/// The part of Redis that belongs to one service.
#[derive(Clone, Debug)]
pub struct Keyspace {
    name: Arc<str>,
    prefixes: Arc<[String]>,
}

/// The name of one entry. Made by [`Keyspace::key`] or [`Cache::key`](crate::Cache::key).
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Key {
    name: Bytes,
    prefix: u16,
    partition: u16,
}

/// The reason why a keyspace cannot be created.
#[derive(Debug, thiserror::Error)]
pub enum KeyspaceError {
    /// The name is empty, too long or contains a character with a special meaning.
    #[error("`{0}` cannot be the name of a keyspace: a name has 1 to 64 of the characters a-z, 0-9, `-` and `_`")]
    Name(String),
    /// There must be between 1 and 4096 partitions.
    #[error("a keyspace has between 1 and 4096 partitions, and not {0}")]
    Partitions(u16),
}

impl Keyspace {
    /// Creates a keyspace with one partition, for one Redis node: keys read `name:…`.
    ///
    /// # Errors
    /// Returns an error when the name is not valid.
    pub fn new(name: &str) -> Result<Self, KeyspaceError> {
        Self::partitioned(name, 1)
    }

    /// Creates a keyspace in one partition, or in 16 if `redis` is a cluster. More partitions allow more primaries, and make
    /// the invalidation of a tag dearer: it is one script per partition.
    ///
    /// # Errors
    /// Returns an error when the name is not valid.
    pub fn for_redis(name: &str, redis: &RedisAddress) -> Result<Self, KeyspaceError> {
        Self::partitioned(name, if redis.is_cluster() { ON_CLUSTER } else { 1 })
    }

    /// Creates a keyspace in `partitions` parts, each within one slot of a Redis cluster.
    ///
    /// All processes that share the keyspace must use the same number.
    ///
    /// # Errors
    /// Returns an error when the name or the number of partitions is not valid.
    pub fn partitioned(name: &str, partitions: u16) -> Result<Self, KeyspaceError> {
        if !is_valid_name(name) {
            return Err(KeyspaceError::Name(name.to_owned()));
        }
        let prefixes = match partitions {
            0 | 4097.. => return Err(KeyspaceError::Partitions(partitions)),
            1 => vec![format!("{name}:")],
            n => (0..n).map(|p| format!("{{{name}:{p}}}:")).collect(),
        };
        Ok(Self { name: name.into(), prefixes: prefixes.into() })
    }

    pub(crate) fn in_one_partition(self) -> Self {
        let prefixes = [format!("{}:", self.name)].into();
        Self { prefixes, ..self }
    }

    /// Returns the name given to [`Keyspace::new`].
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the number of partitions.
    pub fn partitions(&self) -> u16 {
        self.prefixes.len() as u16
    }

    /// Returns the key of entry `id` in `cache`.
    ///
    /// Control characters, spaces and `%` in `id` are percent-encoded. A read with an empty id, or with a key of more than
    /// [`Key::LONGEST`] bytes, fails.
    pub fn key(&self, cache: &str, id: impl Display) -> Key {
        if let [prefix] = &*self.prefixes {
            let mut name = String::with_capacity(prefix.len() + cache.len() + 16);
            name.push_str(prefix);
            write_bare(&mut name, cache, id);
            return Key { name: name.into(), prefix: prefix.len() as u16, partition: 0 };
        }
        let mut bare = String::with_capacity(cache.len() + 16);
        write_bare(&mut bare, cache, id);
        self.key_from_bare(&bare)
    }

    /// Parses the full name of an entry, as a person writes it; `None` when it is not an entry of this keyspace.
    pub fn parse(&self, name: &str) -> Option<Key> {
        let raw = |c: char| needs_escape(c) && c != '%';
        let plain = |bare: &str| !bare.is_empty() && !bare.starts_with('~') && !bare.contains(raw);
        self.prefixes.iter().find_map(|prefix| {
            let bare = name.strip_prefix(prefix.as_str()).filter(|bare| plain(bare))?;
            let key = self.key_from_bare(bare);
            (key.as_str() == name).then_some(key)
        })
    }

    /// Returns this keyspace's key of the entry that `key` names. Another keyspace, such as one with another number of
    /// partitions, may have made it.
    pub(crate) fn own(&self, key: Key) -> Key {
        let prefix = self.prefixes.get(usize::from(key.partition)).map(String::as_bytes);
        match prefix == Some(&key.name[..usize::from(key.prefix)]) {
            true => key,
            false => self.key_from_bare(key.local_name()),
        }
    }

    fn key_from_bare(&self, bare: &str) -> Key {
        let partition = match self.prefixes.len() {
            1 => 0,
            n => fnv1a(bare.as_bytes()) % n as u64,
        } as u16;
        let prefix = &self.prefixes[partition as usize];
        Key { name: format!("{prefix}{bare}").into(), prefix: prefix.len() as u16, partition }
    }

    pub(crate) fn prefix(&self, partition: u16) -> &str {
        &self.prefixes[partition as usize]
    }

    /// Returns the name of the hash with the generation, the clock and the fences of a partition.
    pub(crate) fn fence(&self, partition: u16) -> String {
        format!("{}~fence", self.prefix(partition))
    }

    /// Returns a name that never exists: with it, a command fails if the server does not have the whole partition.
    pub(crate) fn never_used(&self, partition: u16) -> String {
        format!("{}~none", self.prefix(partition))
    }

    /// Returns the name of the sorted set of the registrations in the tag sets of a partition, ordered by the time at
    /// which their entries end.
    pub(crate) fn registry(&self, partition: u16) -> String {
        format!("{}~registered", self.prefix(partition))
    }

    /// Returns the name of the sorted set of the write guards of a partition, ordered by their ends.
    pub(crate) fn guards(&self, partition: u16) -> String {
        format!("{}~guards", self.prefix(partition))
    }

    /// Returns the name of the set of local names in a partition that carry `tag`.
    pub(crate) fn tag_set(&self, partition: u16, tag: impl Display) -> String {
        format!("{}~tag:{tag}", self.prefix(partition))
    }

    /// Returns the name of the set that an invalidation of `tag` has moved aside and empties.
    pub(crate) fn emptying_set(&self, partition: u16, tag: impl Display) -> String {
        format!("{}~drain:{tag}", self.prefix(partition))
    }

    /// Returns the name of the register of the processes that hold a near-cache lease, on one server
    /// since it became the primary.
    pub(crate) fn holders(&self, register_id: &str) -> String {
        format!("{}~holders:{register_id}", self.prefix(0))
    }

    /// Returns the channel on which processes ask each other to drop entries from their memory.
    pub(crate) fn near_channel(&self) -> String {
        format!("{}~near", self.prefix(0))
    }

    /// Returns the name of the sentinel of one tracked connection.
    pub(crate) fn sentinel(&self, connection: impl Display) -> String {
        format!("{}~near:{connection}", self.prefix(0))
    }

    /// Returns the name of the lock that prevents several processes from refreshing one entry at once.
    pub(crate) fn refresh_lock(&self, key: &Key) -> String {
        format!("{}~refresh:{}", self.prefix(key.partition), key.local_name())
    }
}

impl Key {
    /// The longest name that an entry can have, in bytes.
    pub const LONGEST: usize = LONGEST_KEY;

    /// Returns the full name, as `redis-cli` expects it.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.name).expect("a key is made from a String")
    }

    /// Returns the name without the keyspace's prefix: `ttl:1`.
    pub fn local_name(&self) -> &str {
        &self.as_str()[self.prefix as usize..]
    }

    /// Checks that an entry can have this name.
    pub(crate) fn check(&self) -> Result<(), InvalidName> {
        check_key(self.as_str(), self.local_name())
    }

    pub(crate) fn name(&self) -> &[u8] {
        &self.name
    }

    pub(crate) fn partition(&self) -> u16 {
        self.partition
    }

    pub(crate) fn bytes(&self) -> Bytes {
        self.name.clone()
    }
}

impl Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Key {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A tag such as `category:3`: "this entry was computed from category 3".
///
/// Two kinds are useful. A *fact* tag names something that the entry shows. A *collection* tag names a set whose
/// members the entry lists. It is invalidated when a member enters or leaves the set, because the entry could not carry
/// a fact tag of a row that it did not contain yet.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tag(Arc<str>);

impl Tag {
    /// The longest tag that an entry can carry, in bytes.
    pub const LONGEST: usize = LONGEST_TAG;

    /// Creates the tag `kind:id`. Characters that would break the entry's header are percent-encoded, and so are colons in
    /// `kind`.
    ///
    /// An entry with a tag whose kind or id is empty, or that has more than [`Tag::LONGEST`]
    /// bytes, is not stored: its load fails.
    pub fn new(kind: &str, id: impl Display) -> Self {
        let mut text = String::with_capacity(kind.len() + 12);
        write_escaped(&mut text, kind, |c| needs_escape(c) || c == ',' || c == ':');
        text.push(':');
        write_escaped(&mut text, id, |c| needs_escape(c) || c == ',');
        Self(text.into())
    }

    /// Parses a tag as it is stored, and as entries show it; `None` when no entry can carry it.
    pub fn parse(text: &str) -> Option<Self> {
        let breaks = |c: char| c.is_control() || c.is_whitespace() || c == ',';
        (text.contains(':') && !text.contains(breaks)).then(|| Self(text.into()))
    }

    /// Checks that an entry can carry this tag.
    pub(crate) fn check(&self) -> Result<(), InvalidName> {
        check_tag(&self.0)
    }

    /// Returns the tag as stored.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for Tag {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl fmt::Debug for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A tag can be looked up by its text.
impl Borrow<str> for Tag {
    fn borrow(&self) -> &str {
        &self.0
    }
}

fn write_bare(name: &mut String, cache: &str, id: impl Display) {
    name.push_str(cache);
    name.push(':');
    write_escaped(name, id, needs_escape);
}

/// FNV-1a: small, stable across processes and versions, and distributed well enough to choose a partition or an order.
pub(crate) fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests;
