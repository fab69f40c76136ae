//! The characters and the lengths that the names of entries and tags may have.

use std::fmt::{Display, Write as _};

/// The longest name of an entry, in bytes: its keyspace, its cache and its id.
pub(crate) const LONGEST_KEY: usize = 65_536;

/// The longest tag, in bytes.
pub(crate) const LONGEST_TAG: usize = 1_024;

/// The reason why no entry can have this name or this tag. Nothing is loaded, or nothing is stored.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidName {
    /// Holds the name of the cache.
    #[error("the id of an entry of the cache `{0}` is empty")]
    EmptyId(String),
    /// Holds the number of bytes.
    #[error("the key of an entry has {0} bytes, and a key has at most {LONGEST_KEY}")]
    LongKey(usize),
    /// Holds the tag.
    #[error("the tag `{0}` has an empty kind or an empty id")]
    EmptyTag(String),
    /// Holds the number of bytes.
    #[error("a tag has {0} bytes, and a tag has at most {LONGEST_TAG}")]
    LongTag(usize),
}

/// Checks the name of an entry: the whole name, and the part after the keyspace.
pub(crate) fn check_key(name: &str, local: &str) -> Result<(), InvalidName> {
    match local.split_once(':') {
        Some((cache, "")) => Err(InvalidName::EmptyId(cache.to_owned())),
        _ if name.len() > LONGEST_KEY => Err(InvalidName::LongKey(name.len())),
        _ => Ok(()),
    }
}

/// Checks a tag of an entry.
pub(crate) fn check_tag(tag: &str) -> Result<(), InvalidName> {
    match tag.split_once(':') {
        None | Some(("", _) | (_, "")) => Err(InvalidName::EmptyTag(tag.to_owned())),
        _ if tag.len() > LONGEST_TAG => Err(InvalidName::LongTag(tag.len())),
        Some(_) => Ok(()),
    }
}

/// Returns whether `name` is valid for a keyspace or a cache: no character in it has a special meaning.
pub(crate) fn is_valid_name(name: &str) -> bool {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
    (1..=64).contains(&name.len()) && name.chars().all(allowed)
}

/// Returns whether a character of an id is percent-encoded.
pub(crate) fn needs_escape(c: char) -> bool {
    c.is_control() || c.is_whitespace() || c == '%'
}

/// Appends `text`, percent-encoding the characters that `special` selects.
pub(crate) fn write_escaped(out: &mut String, text: impl Display, special: fn(char) -> bool) {
    let start = out.len();
    write!(out, "{text}").expect("writing to a String cannot fail");
    if out[start..].contains(special) {
        let raw = out.split_off(start);
        let mut utf8 = [0; 4];
        for c in raw.chars() {
            if special(c) {
                for byte in c.encode_utf8(&mut utf8).bytes() {
                    write!(out, "%{byte:02X}").expect("writing to a String cannot fail");
                }
            } else {
                out.push(c);
            }
        }
    }
}
