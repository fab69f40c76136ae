//! How the values of one cache are stored: their schema, their compression and their largest size.

use std::borrow::Cow;

use bytes::Bytes;

use crate::loader::Content;

/// How a cache stores its values. The default is schema 0, no compression and no limit on the size.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Values {
    pub(crate) schema: u32,
    compress_above: Option<usize>,
    pub(crate) largest: Option<usize>,
}

/// The name of the compression in an entry's header.
pub(crate) const LZ4: &[u8] = b"lz4";
/// A byte of LZ4 becomes at most 255. Bytes that claim to become more are no value of ours.
#[cfg(feature = "lz4")]
const LZ4_RATIO: usize = 255;

impl Values {
    /// Creates the default.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the version of the values' type. Increase it with each change after which one of the two types cannot be decoded
    /// as the other.
    ///
    /// A process takes an entry only if it has the same schema. Otherwise it loads, and replaces the entry. So an old and a
    /// new version of a program can run side by side: they replace each other's entries, and invalidate the same ones.
    pub fn schema(mut self, schema: u32) -> Self {
        self.schema = schema;
        self
    }

    /// Compresses values that are longer than this, with LZ4. A process without the feature `lz4` cannot read them, and
    /// replaces them.
    #[cfg(feature = "lz4")]
    pub fn compress_above(mut self, bytes: usize) -> Self {
        self.compress_above = Some(bytes);
        self
    }

    /// Sets the largest value that is stored, in bytes after compression.
    ///
    /// A larger value is returned to its readers and not stored; its outcome is
    /// [`Fill::TooLarge`](crate::outcome::Fill::TooLarge).
    pub fn largest(mut self, bytes: usize) -> Self {
        self.largest = Some(bytes);
        self
    }

    /// Returns whether values of every size are stored as they are.
    pub(crate) fn is_plain(self) -> bool {
        self.compress_above.is_none() && self.largest.is_none()
    }

    /// Returns the content as it is stored; `None` if it is too large.
    pub(crate) fn pack(self, content: &Content) -> Option<Cow<'_, Content>> {
        let packed = match &content.body {
            Some(body) if self.compress_above.is_some_and(|above| body.len() > above) => compressed(content, body),
            _ => Cow::Borrowed(content),
        };
        let length = packed.body.as_ref().map_or(0, Bytes::len);
        self.largest.is_none_or(|largest| length <= largest).then_some(packed)
    }
}

#[cfg(feature = "lz4")]
fn compressed<'c>(content: &'c Content, body: &Bytes) -> Cow<'c, Content> {
    let shorter = lz4_flex::compress_prepend_size(body);
    match shorter.len() < body.len() {
        true => Cow::Owned(Content { body: Some(shorter.into()), is_compressed: true, ..content.clone() }),
        false => Cow::Borrowed(content),
    }
}

#[cfg(not(feature = "lz4"))]
fn compressed<'c>(content: &'c Content, _: &Bytes) -> Cow<'c, Content> {
    Cow::Borrowed(content)
}

/// Returns the body of an entry that was compressed; `None` if this program cannot decompress it.
#[cfg(feature = "lz4")]
pub(crate) fn decompressed(body: &[u8]) -> Option<Vec<u8>> {
    let (length, rest) = lz4_flex::block::uncompressed_size(body).ok()?;
    if length / LZ4_RATIO > rest.len() {
        return None;
    }
    lz4_flex::decompress(rest, length).ok().filter(|value| value.len() == length)
}

#[cfg(not(feature = "lz4"))]
pub(crate) fn decompressed(_: &[u8]) -> Option<Vec<u8>> {
    None
}

#[cfg(all(test, feature = "lz4"))]
mod tests {
    use super::*;

    #[test]
    fn what_becomes_longer_than_lz4_can_is_refused_before_memory_is_allocated() {
        let zeros = vec![0; 1_000_000];
        let stored = lz4_flex::compress_prepend_size(&zeros);
        assert!(stored.len() < 5_000, "close to the highest ratio: {}", stored.len());
        assert_eq!(decompressed(&stored), Some(zeros));
        let mut claim = stored;
        claim[..4].copy_from_slice(&500_000_000_u32.to_le_bytes());
        assert_eq!(decompressed(&claim), None);
        assert_eq!(decompressed(b"abc"), None);
    }
}
