//! Joined forms of words that one text separates and another joins: `Wi-Fi`, `wi fi`, `wifi`.
//!
//! Such words have a joined form in addition to themselves, in a text as in a query:
//!
//! | in the text | joined |
//! |---|---|
//! | `Wi-Fi`, `Node.js`, `women's`, `km/h` | two words that one of these signs connects |
//! | `AX-47-C` | `ax47`, `47c`, and the whole |
//! | `t shirt`, `USB C`, `200 ml` | two words with a space between, one of them of one or two letters |
//! | `10000 mAh`, `3.5 mm` | a number and a unit with a space between: `3.5mm` |
//! | `power bank` | a *pair* of longer words with a space between |
//! | `1/2`, `5 10`, `a lamp` | nothing: other numbers, and stop words |
//!
//! Texts have many pairs, and few are a word. So only the pairs of names are indexed, in a field of their own, and they match
//! only as a whole.
//!
//! So a word has at most one joined form with its successor, and a chain of words has one more.

use std::ops::Range;

use super::split::{Class, Kind, LONGEST, Piece, Text};

/// The maximum length, in letters, of a word that is joined with its neighbour across a space in every text.
const SHORT: usize = 2;

/// The maximum length of the name of a unit, in letters.
const UNIT: usize = 4;

/// English stop words: the list of tantivy's filter.
const STOP_WORDS: [&str; 33] = [
    "a", "an", "and", "are", "as", "at", "be", "but", "by", "for", "if", "in", "into", "is", "it", "no", "not", "of",
    "on", "or", "such", "that", "the", "their", "then", "there", "these", "they", "this", "to", "was", "will", "with",
];

impl Text<'_> {
    /// Returns the joined forms that begin with the word at `at`, the longer first.
    pub(super) fn joins(&self, at: &Range<usize>) -> impl Iterator<Item = Piece> + use<> {
        let by_sign = self.connected(at);
        let next = by_sign.clone().map(|next| (next, Kind::Joined)).or_else(|| self.beside(at));
        let pair = next.map(|(next, kind)| self.join(kind, &[at.clone(), next]));
        let is_first = by_sign.is_some() && !self.is_connected_before(at);
        let chain: Vec<Range<usize>> = match is_first {
            true => std::iter::successors(Some(at.clone()), |word| self.connected(word)).take(LONGEST).collect(),
            false => Vec::new(),
        };
        let chain = (chain.len() > 2).then(|| self.join(Kind::Joined, &chain));
        chain.into_iter().chain(pair)
    }

    fn join(&self, kind: Kind, words: &[Range<usize>]) -> Piece {
        let text = words.iter().cloned().flat_map(|word| self.chars(word)).take(LONGEST).collect();
        let start = words.first().map_or(0, |first| first.start);
        let end = words.last().map_or(start, |last| last.end);
        Piece { kind, text, letters: start..end }
    }

    /// Returns the word that a sign connects to the one at `at`.
    fn connected(&self, at: &Range<usize>) -> Option<Range<usize>> {
        let sign = self.char(at.end);
        let next = self.word_at(at.end + 1)?;
        let keeps_meaning = is_hyphen(sign) || !self.are_digits(at.end - 1, next.start);
        (connects(sign) && keeps_meaning).then_some(next)
    }

    fn is_connected_before(&self, at: &Range<usize>) -> bool {
        let Some(sign) = at.start.checked_sub(1) else { return false };
        let Some(before) = sign.checked_sub(1).filter(|before| self.class(*before) == Class::Spaced) else {
            return false;
        };
        let sign = self.char(sign);
        connects(sign) && (is_hyphen(sign) || !self.are_digits(before, at.start))
    }

    /// Returns the word after a space, if no sign connects either word to another one, and how the two are joined.
    fn beside(&self, at: &Range<usize>) -> Option<(Range<usize>, Kind)> {
        let spaces = (at.end..).take_while(|place| self.char(*place) == ' ' && *place < self.0.len()).count();
        let next = self.word_at(at.end + spaces).filter(|_| spaces > 0)?;
        let binds = |sign: char| connects(sign) || matches!(sign, '&' | '+' | '#');
        let is_bound_before = at.start.checked_sub(1).is_some_and(|before| binds(self.char(before)));
        let is_bound = is_bound_before || binds(self.char(next.end));
        let is_measure = next.len() <= UNIT && self.chars(at.clone()).all(|c| c.is_numeric() || c == '.');
        let is_short = is_measure || at.len() <= SHORT || next.len() <= SHORT;
        let is_joined = !is_bound && !self.are_digits(at.end - 1, next.start);
        let kind = if is_short { Kind::Joined } else { Kind::Pair };
        (is_joined && !self.is_stop_word(at) && !self.is_stop_word(&next)).then_some((next, kind))
    }

    fn are_digits(&self, one: usize, other: usize) -> bool {
        self.char(one).is_numeric() && self.char(other).is_numeric()
    }

    fn is_stop_word(&self, word: &Range<usize>) -> bool {
        STOP_WORDS.iter().any(|stop| stop.chars().eq(word.clone().map(|at| self.char(at))))
    }
}

fn is_hyphen(sign: char) -> bool {
    matches!(sign, '-' | '\u{2010}'..='\u{2013}' | '\u{2212}')
}

fn connects(sign: char) -> bool {
    is_hyphen(sign) || matches!(sign, '.' | '\'' | '\u{2018}' | '\u{2019}' | '\u{2bc}' | '`' | '´' | '/' | '_' | '·')
}
