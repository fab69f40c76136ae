//! The result of a load: a value, its version, its tags and its lifetime.

use std::fmt::{self, Write as _};
use std::marker::PhantomData;
use std::time::Duration;

use bytes::Bytes;
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use crate::tag::Tag;

/// The result of a load. Its tags may depend on the loaded value.
///
/// A loader that has nothing to say about its value returns a `T` or an `Option<T>` instead.
#[derive(Debug)]
#[must_use = "an entry is stored only if the loader returns it"]
pub struct NewEntry<T> {
    content: Content,
    /// The reason why the value cannot be written as JSON.
    unencodable: Option<serde_json::Error>,
    value: PhantomData<fn() -> T>,
}

/// A new entry without the type of its value.
#[derive(Clone, Debug)]
pub(crate) struct Content {
    pub(crate) body: Option<Bytes>,
    pub(crate) digest: Option<Digest>,
    pub(crate) version: Option<u64>,
    pub(crate) tags: Vec<Tag>,
    pub(crate) longest_ttl: Option<Duration>,
    pub(crate) store: bool,
}

/// The first 128 bits of SHA-256, written as 32 hex digits: it identifies a representation.
///
/// It is computed once per load and stored in the entry's header, so it costs a hit nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Digest(u128);

impl<T> NewEntry<T> {
    /// Creates an entry whose value is stored and served as JSON.
    ///
    /// A value that cannot be written as JSON, such as a map whose keys are not strings, fails the load.
    pub fn value(value: &T) -> Self
    where
        T: Serialize,
    {
        match serde_json::to_vec(value) {
            Ok(body) => Self::raw(body),
            Err(error) => Self { unencodable: Some(error), ..Self::absent() },
        }
    }

    /// Creates an entry from the stored form of its value: the bytes are stored and served as they are.
    pub fn raw(body: impl Into<Bytes>) -> Self {
        let body = body.into();
        let mut entry = Self::absent();
        entry.content.digest = Some(Digest::of(&body));
        entry.content.body = Some(body);
        entry
    }

    /// Creates a negative entry: the requested object does not exist.
    ///
    /// It lives for the policy's negative TTL. Give it the tag that the creation of the object invalidates, or
    /// invalidate its key then.
    pub fn absent() -> Self {
        let content =
            Content { body: None, digest: None, version: None, tags: Vec::new(), longest_ttl: None, store: true };
        Self { content, unencodable: None, value: PhantomData }
    }

    /// Sets the version of the row, for a value that is one row.
    pub fn version(mut self, version: u64) -> Self {
        self.content.version = Some(version);
        self
    }

    /// Adds a tag; invalidating the tag removes this entry.
    pub fn tag(mut self, tag: Tag) -> Self {
        self.content.tags.push(tag);
        self
    }

    /// Adds several tags.
    pub fn tags(mut self, tags: impl IntoIterator<Item = Tag>) -> Self {
        self.content.tags.extend(tags);
        self
    }

    /// Limits the TTLs of this entry, for a value whose source says how long it is valid.
    ///
    /// It only shortens: the TTLs of the policy stay upper bounds.
    pub fn ttl_at_most(mut self, ttl: Duration) -> Self {
        self.content.longest_ttl = Some(ttl);
        self
    }

    /// Returns the value to the readers that wait for this load, without storing it.
    ///
    /// The next read loads again. Use it for a value that is good enough to show once, such as one from a fallback. An
    /// entry that was being refreshed stays unchanged.
    pub fn do_not_store(mut self) -> Self {
        self.content.store = false;
        self
    }

    /// Returns the entry without the type of its value.
    ///
    /// # Errors
    /// Returns an error when the value could not be written as JSON.
    pub(crate) fn into_content(self) -> Result<Content, serde_json::Error> {
        self.unencodable.map_or(Ok(self.content), Err)
    }
}

impl<T: Serialize> From<T> for NewEntry<T> {
    fn from(value: T) -> Self {
        Self::value(&value)
    }
}

impl<T: Serialize> From<Option<T>> for NewEntry<T> {
    fn from(value: Option<T>) -> Self {
        value.map_or_else(Self::absent, Self::from)
    }
}

impl Content {
    /// Returns the header after `at=…` (see `entry.rs`); the script fills in `at`, because only Redis knows its time.
    pub(crate) fn header(&self, soft: u64, hard: u64) -> String {
        let mut header = format!("soft={soft} hard={hard} ver=");
        match self.version {
            Some(version) => write!(header, "{version}"),
            None => write!(header, "-"),
        }
        .and_then(|()| match self.digest {
            Some(digest) => write!(header, " sum={digest}"),
            None => write!(header, " sum=-"),
        })
        .expect("writing to a String cannot fail");
        header.push_str(if self.body.is_none() { " absent=1 tags=" } else { " absent=0 tags=" });
        for (i, tag) in self.tags.iter().map(Tag::as_str).enumerate() {
            if i > 0 {
                header.push(',');
            }
            header.push_str(tag);
        }
        header
    }
}

impl Digest {
    /// Returns the digest of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        let hash = Sha256::digest(bytes);
        Self(hash.iter().take(16).fold(0, |bits, byte| bits << 8 | u128::from(*byte)))
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digest_is_the_beginning_of_sha_256() {
        // FIPS 180-2, appendix B.1.
        assert_eq!(Digest::of(b"abc").to_string(), "ba7816bf8f01cfea414140de5dae2223");
        assert_eq!(Digest::of(b"").to_string(), "e3b0c44298fc1c149afbf4c8996fb924");
    }

    #[test]
    fn value_is_encoded_and_none_is_absent() {
        let body = |entry: NewEntry<u32>| entry.into_content().unwrap().body;
        assert_eq!(body(NewEntry::from(7)).unwrap(), "7");
        assert_eq!(body(NewEntry::from(Some(7))).unwrap(), "7");
        assert_eq!(body(NewEntry::from(None)), None);
    }

    #[test]
    fn value_that_is_no_json_has_no_content() {
        let keys_are_no_strings = std::collections::HashMap::from([((1, 2), 3)]);
        assert!(NewEntry::value(&keys_are_no_strings).version(1).into_content().is_err());
    }
}
