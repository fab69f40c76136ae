//! Cursors: the position of a page's last result in the order of all results.
//!
//! The next page begins after that position, not at an offset. So no result is repeated or left out because another
//! product was added or removed in between. A position is a score and an id. This works because a score depends only on
//! the query and the product (see `build.rs`), on every replica and after any change of other products.

use std::cmp::Ordering;
use std::fmt;

/// A position in the order of results: the higher score first, then the smaller id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SortPosition {
    /// The rounded score.
    pub score: u32,
    /// The id of the product.
    pub id: i64,
}

impl Ord for SortPosition {
    fn cmp(&self, other: &Self) -> Ordering {
        other.score.cmp(&self.score).then(self.id.cmp(&other.id))
    }
}

impl PartialOrd for SortPosition {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// How words are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MatchMode {
    /// By stem, and the last word also by its beginning.
    Strict,
    /// With one or two typos.
    Typo,
    /// Like `Strict`, but only half of the query must match.
    Partial,
    /// Like `Typo`, but only half of the query must match.
    PartialTypo,
}

impl MatchMode {
    /// Returns whether a word may have typos.
    pub fn has_typos(self) -> bool {
        matches!(self, Self::Typo | Self::PartialTypo)
    }

    /// Returns whether half of the query is enough.
    pub fn is_partial(self) -> bool {
        matches!(self, Self::Partial | Self::PartialTypo)
    }
}

/// A position in the results of one query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// How the pages so far compared words.
    pub likeness: MatchMode,
    /// The position of the last result so far.
    pub place: SortPosition,
    subject: u32,
}

impl Cursor {
    /// Creates a cursor for the results of `subject`.
    pub fn new(likeness: MatchMode, place: SortPosition, subject: &str) -> Self {
        Self { likeness, place, subject: hash(subject) }
    }

    /// Returns whether the cursor belongs to the results of `subject`.
    pub fn is_of(&self, subject: &str) -> bool {
        self.subject == hash(subject)
    }

    /// Parses the output of [`Display`](fmt::Display); returns `None` for any other text.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('.');
        let likeness = match parts.next()? {
            "s" => MatchMode::Strict,
            "t" => MatchMode::Typo,
            "p" => MatchMode::Partial,
            "pt" => MatchMode::PartialTypo,
            _ => return None,
        };
        let mut hex = || u64::from_str_radix(parts.next()?, 16).ok();
        let score = u32::try_from(hex()?).ok()?;
        let id = i64::try_from(hex()?).ok()?;
        let subject = u32::try_from(hex()?).ok()?;
        let cursor = Self { likeness, place: SortPosition { score, id }, subject };
        // Each cursor has exactly one text; otherwise one page would have several keys.
        (cursor.to_string() == text).then_some(cursor)
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.likeness {
            MatchMode::Strict => f.write_str("s")?,
            MatchMode::Typo => f.write_str("t")?,
            MatchMode::Partial => f.write_str("p")?,
            MatchMode::PartialTypo => f.write_str("pt")?,
        }
        write!(f, ".{:x}.{:x}.{:x}", self.place.score, self.place.id, self.subject)
    }
}

/// FNV-1a: the same in every process and version.
fn hash(text: &str) -> u32 {
    text.bytes().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursor_can_be_parsed_back_and_belongs_to_one_query() {
        for likeness in [MatchMode::Strict, MatchMode::Typo, MatchMode::Partial, MatchMode::PartialTypo] {
            let cursor = Cursor::new(likeness, SortPosition { score: 7_001, id: i64::MAX }, "q=lamp");
            assert_eq!(Cursor::parse(&cursor.to_string()), Some(cursor));
            assert!(cursor.is_of("q=lamp") && !cursor.is_of("q=lamps"));
        }
    }

    #[test]
    fn malformed_text_is_not_a_cursor() {
        for text in [
            "", "s", "s.1.1", "s.1.1.1.1", "x.1.1.1", "s.01.1.1", "s.+1.1.1", "s.1.-1.1", "s.1.1.100000000", "S.1.1.1",
            "p1.1.1.1", "P.1.1.1", "tp.1.1.1", "s.1.ffffffffffffffff.1",
        ] {
            assert_eq!(Cursor::parse(text), None, "{text}");
        }
    }

    #[test]
    fn higher_score_comes_first_then_the_smaller_id() {
        let mut places = [(1, 9), (2, 5), (1, 3)].map(|(score, id)| SortPosition { score, id });
        places.sort();
        assert_eq!(places.map(|place| (place.score, place.id)), [(2, 5), (1, 3), (1, 9)]);
    }
}
