//! The result of a load: a value, its version and its tags.

use std::fmt::{self, Write as _};

use bytes::Bytes;
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use crate::tag::Tag;

/// The result of a load. Its tags may depend on the loaded value.
#[derive(Clone, Debug)]
pub struct NewEntry {
    pub(crate) body: Option<Bytes>,
    pub(crate) digest: Option<Digest>,
    pub(crate) version: Option<u64>,
    pub(crate) tags: Vec<Tag>,
    pub(crate) store: bool,
}

/// The first 128 bits of SHA-256, written as 32 hex digits: it identifies a representation.
///
/// It is computed once per load and stored in the entry's header, so it costs a hit nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Digest(u128);

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
}
