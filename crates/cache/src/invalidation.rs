//! What to invalidate, and the result: the values that the caller and the steps of an invalidation exchange.

use crate::feed::InvalidationRecord;
use crate::keyspace::Key;
use crate::tag::Tag;

/// Keys in one command at most.
const KEYS: usize = 64;
/// Keys, and tags, that a feed record names at most.
const MAX_NAMES_IN_FEED: usize = 16;

/// The entries to invalidate, and how. Made by [`Invalidation::hard`] or [`Invalidation::soft`].
#[derive(Clone, Debug)]
pub struct Invalidation {
    pub(crate) effect: Mode,
    pub(crate) keys: Vec<Key>,
    pub(crate) keys_before: Vec<(Key, u64)>,
    pub(crate) tags: Vec<Tag>,
}

/// The effect on an invalidated entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Removed,
    Expired,
}

/// A part of an invalidation within one partition.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Keys(Vec<Key>),
    Older(Vec<(Key, u64)>),
    Tag(u16, Tag),
}

/// The result of an invalidation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "the write is committed in either case, but a deferred invalidation is not acknowledged yet: tell the caller"]
pub enum Invalidated {
    /// Acknowledged: these entries are removed (or marked stale), and no older load can be stored.
    Done {
        /// Number of entries that existed.
        entries: u64,
    },
    /// Redis did not carry it out. This process retries it until it succeeds or the process ends; until then, other
    /// processes may serve the old value.
    Deferred,
}

/// Redis has not carried out an invalidation yet. The write that it follows is committed all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("Redis did not acknowledge an invalidation; it is retried until it does")]
pub struct Deferred;

impl Invalidated {
    /// Returns the number of removed entries, for a caller that must not continue before the acknowledgement, such as a
    /// consumer that acknowledges an event afterwards.
    ///
    /// # Errors
    /// Returns an error when the invalidation is deferred. The write is committed all the same: do not report this as a
    /// failed write.
    pub fn acknowledged(self) -> Result<u64, Deferred> {
        match self {
            Self::Done { entries } => Ok(entries),
            Self::Deferred => Err(Deferred),
        }
    }
}

impl Invalidation {
    /// Creates an invalidation that removes entries: their stored values are never served again.
    pub fn hard() -> Self {
        Self { effect: Mode::Removed, keys: Vec::new(), keys_before: Vec::new(), tags: Vec::new() }
    }

    /// Creates an invalidation that marks entries stale: the next reader still receives the old value, and starts a
    /// refresh.
    pub fn soft() -> Self {
        Self { effect: Mode::Expired, keys: Vec::new(), keys_before: Vec::new(), tags: Vec::new() }
    }

    /// Adds an entry.
    pub fn key(mut self, key: Key) -> Self {
        self.keys.push(key);
        self
    }

    /// Adds an entry that shows one row ([`NewEntry::version`](crate::NewEntry::version)), of which `version` is
    /// committed.
    ///
    /// An entry that shows this version or a later one stays, and a load in flight that returns one is stored. Use it
    /// for a repeated invalidation: the writer itself may already have removed or replaced the entry. An entry with an
    /// older version, or without one, is removed, by a soft invalidation as well.
    pub fn key_older_than(mut self, key: Key, version: u64) -> Self {
        self.keys_before.push((key, version));
        self
    }

    /// Adds a tag, and so every entry that carries it.
    pub fn tag(mut self, tag: Tag) -> Self {
        self.tags.push(tag);
        self
    }

    /// Adds several tags.
    pub fn tags(mut self, tags: impl IntoIterator<Item = Tag>) -> Self {
        self.tags.extend(tags);
        self
    }

    pub(crate) fn len(&self) -> (usize, usize) {
        (self.keys.len() + self.keys_before.len(), self.tags.len())
    }

    /// Returns the feed record: the first few names, and the number of further ones.
    pub(crate) fn record(&self, entries: Option<u64>) -> InvalidationRecord {
        let named = self.keys.iter().chain(self.keys_before.iter().map(|(key, _)| key));
        let keys: Vec<Key> = named.take(MAX_NAMES_IN_FEED).cloned().collect();
        let tags: Vec<Tag> = self.tags.iter().take(MAX_NAMES_IN_FEED).cloned().collect();
        let more = self.keys.len() + self.keys_before.len() + self.tags.len() - keys.len() - tags.len();
        InvalidationRecord { everything: false, keys, tags, more, soft: self.effect == Mode::Expired, entries }
    }

    pub(crate) fn steps(&self, partitions: u16) -> Vec<Step> {
        let mut steps = Vec::new();
        for partition in 0..partitions {
            let keys: Vec<Key> = self.keys.iter().filter(|key| key.partition() == partition).cloned().collect();
            steps.extend(keys.chunks(KEYS).map(|some| Step::Keys(some.to_vec())));
            let is_here = |(key, _): &&(Key, u64)| key.partition() == partition;
            let keys_before: Vec<(Key, u64)> = self.keys_before.iter().filter(is_here).cloned().collect();
            steps.extend(keys_before.chunks(KEYS).map(|some| Step::Older(some.to_vec())));
            steps.extend(self.tags.iter().map(|tag| Step::Tag(partition, tag.clone())));
        }
        steps
    }
}
