//! The result of a load: a value, its version and its tags.

use bytes::Bytes;
use serde::Serialize;

use crate::{Digest, Tag};

/// The result of a load. Its tags may depend on the loaded value.
#[derive(Clone, Debug)]
pub struct NewEntry {
    pub(crate) body: Option<Bytes>,
    pub(crate) digest: Option<Digest>,
    pub(crate) version: Option<u64>,
    pub(crate) tags: Vec<Tag>,
    pub(crate) store: bool,
}

impl NewEntry {
    /// Creates an entry whose value is stored and served byte for byte.
    pub fn value(body: impl Into<Bytes>) -> Self {
        let body = body.into();
        let digest = Some(Digest::of(&body));
        Self { body: Some(body), digest, version: None, tags: Vec::new(), store: true }
    }

    /// Creates an entry whose value is stored and served as JSON.
    ///
    /// # Errors
    /// Returns an error when `value` cannot be written as JSON, such as a map whose keys are not strings.
    pub fn json<T: Serialize>(value: &T) -> Result<Self, serde_json::Error> {
        Ok(Self::value(serde_json::to_vec(value)?))
    }

    /// Creates a negative entry: the requested object does not exist.
    ///
    /// It lives for the policy's negative TTL. Give it the tag that the creation of the object invalidates, or
    /// invalidate its key then.
    pub fn absent() -> Self {
        Self { body: None, digest: None, version: None, tags: Vec::new(), store: true }
    }

    /// Sets the version of the row, for a value that is one row.
    pub fn version(mut self, version: u64) -> Self {
        self.version = Some(version);
        self
    }

    /// Adds a tag; invalidating the tag removes this entry.
    pub fn tag(mut self, tag: Tag) -> Self {
        self.tags.push(tag);
        self
    }

    /// Adds several tags.
    pub fn tags(mut self, tags: impl IntoIterator<Item = Tag>) -> Self {
        self.tags.extend(tags);
        self
    }

    /// Returns the value to the readers that wait for this load, without storing it.
    ///
    /// The next read loads again. Use it for a value that is good enough to show once, such as one from a fallback. An
    /// entry that was being refreshed stays unchanged.
    pub fn do_not_store(mut self) -> Self {
        self.store = false;
        self
    }
}
