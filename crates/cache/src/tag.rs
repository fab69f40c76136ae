//! Tags: names that several entries carry, so that they can be invalidated together.

use std::borrow::Borrow;
use std::fmt::{self, Display};
use std::sync::Arc;

use serde::{Serialize, Serializer};

use crate::keyspace::write_escaped;

/// A tag can be looked up by its text.
impl Borrow<str> for Tag {
    fn borrow(&self) -> &str {
        &self.0
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
    /// Creates the tag `kind:id`. Characters that would break the entry's header are percent-encoded.
    pub fn new(kind: &str, id: impl Display) -> Self {
        let mut text = String::with_capacity(kind.len() + 12);
        write_escaped(&mut text, format_args!("{kind}:{id}"), |c| {
            c.is_control() || c.is_whitespace() || c == '%' || c == ','
        });
        Self(text.into())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_cannot_break_the_header() {
        assert_eq!(Tag::new("category", 3).as_str(), "category:3");
        assert_eq!(Tag::new("q", "a,b c\n").as_str(), "q:a%2Cb%20c%0A");
    }
}
