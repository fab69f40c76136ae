//! What a loader hands to the cache: the truth at one moment, and what it was computed from.

use bytes::Bytes;
use serde::Serialize;

use crate::{Digest, Tag};

/// The result of a load. Its tags may depend on what was loaded.
#[derive(Clone, Debug)]
pub struct NewEntry {
    pub(crate) body: Option<Bytes>,
    pub(crate) digest: Option<Digest>,
    pub(crate) version: Option<u64>,
    pub(crate) tags: Vec<Tag>,
    pub(crate) store: bool,
}

impl NewEntry {
    /// A value, stored and served byte for byte.
    pub fn value(body: impl Into<Bytes>) -> Self {
        let body = body.into();
        let digest = Some(Digest::of(&body));
        Self { body: Some(body), digest, version: None, tags: Vec::new(), store: true }
    }

    /// A value, stored and served as JSON.
    ///
    /// # Errors
    /// When `value` cannot be written as JSON, such as a map whose keys are not strings.
    pub fn json<T: Serialize>(value: &T) -> Result<Self, serde_json::Error> {
        Ok(Self::value(serde_json::to_vec(value)?))
    }

    /// There is no such thing. Remembered for the policy's negative TTL; give it the tag (or invalidate its key)
    /// that the creation of the thing invalidates.
    pub fn absent() -> Self {
        Self { body: None, digest: None, version: None, tags: Vec::new(), store: true }
    }

    /// The version of the row, when the value is one row.
    pub fn version(mut self, version: u64) -> Self {
        self.version = Some(version);
        self
    }

    /// Adds a tag: an invalidation of it removes this entry.
    pub fn tag(mut self, tag: Tag) -> Self {
        self.tags.push(tag);
        self
    }

    /// Adds several tags.
    pub fn tags(mut self, tags: impl IntoIterator<Item = Tag>) -> Self {
        self.tags.extend(tags);
        self
    }

    /// Answers who waits for this load, and nobody else: nothing is stored, and the next read loads again. For a value
    /// that is good enough to show once, such as one made from a fallback. An entry that was to be refreshed stays.
    pub fn do_not_store(mut self) -> Self {
        self.store = false;
        self
    }
}
