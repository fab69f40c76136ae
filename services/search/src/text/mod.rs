//! Splitting of text into words, in the same way for indexing, queries and highlighting.
//!
//! A word is a series of letters and digits, folded, with the signs that are part of a name (`C++`). Its *stem* is the
//! part that it shares with its other forms (`lamps`, `lamp`). Both are indexed: words match by their stems; prefixes
//! and typos are compared with the words. Scripts without spaces (Chinese, Japanese, Thai …) do not mark the end of a
//! word. So a *run* of such letters is indexed as pairs of letters, and matches wherever it occurs in another run. Korean
//! has spaces, but writes compounds without them, so a Korean word is a word and a run.
//!
//! | module | purpose |
//! |---|---|
//! | `fold` | folds characters for comparison |
//! | `split` | finds where words begin and end |
//! | `join` | adds joined forms of separated words |
//! | `tokenize` | the tokenizers for tantivy |

mod fold;
mod join;
mod split;
mod tokenize;

use std::collections::BTreeSet;
use std::ops::Range;

use tantivy::tokenizer::{Language, RawTokenizer, StopWordFilter, TextAnalyzer};

use unicode_script::{Script, UnicodeScript};

use fold::Letter;
use split::{Kind, Piece};
pub use tokenize::{GRAMS, PAIRS, STEMS, WORDS, tokenizers};

/// The maximum number of characters of a word in a tag; see `keys.rs`.
const TAGGED: usize = 3;

/// A word and its stem, or a run.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Word {
    /// The folded word.
    pub word: String,
    /// The stem, which the word shares with its other forms. A run is its own stem.
    pub stem: String,
    /// Whether the word is a run of a script without spaces.
    pub is_run: bool,
}

/// A word at its position in a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocatedWord {
    /// The word.
    pub word: Word,
    /// The range of its bytes in the text.
    pub bytes: Range<usize>,
    /// The bytes of each letter of a run; empty for other words.
    pub letters: Vec<Range<usize>>,
    /// Whether it is one of the [`pairs`].
    pub is_pair: bool,
}

/// Returns the words of `text` in order, with and without their signs.
pub fn words(text: &str) -> Vec<Word> {
    let mut pieces = split::pieces(&split::letters(text));
    pieces.retain(|piece| piece.kind != Kind::Pair);
    to_words(&pieces)
}

/// Returns the pairs of longer words of `text`, each written as one word: `powerbank` for `power bank`. A pair needs no tag
/// of its own, because its beginning is that of its first word.
pub fn pairs(text: &str) -> Vec<Word> {
    let mut pieces = split::pieces(&split::letters(text));
    pieces.retain(|piece| piece.kind == Kind::Pair);
    to_words(&pieces)
}

/// A word of a query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueryWord {
    /// The word.
    pub word: Word,
    /// The joined forms of this word and its neighbours, and the run of a Korean word. A text may have one of them in place
    /// of the word.
    pub joined: BTreeSet<Joined>,
}

/// Neighbouring words of a query, written as one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Joined {
    /// The joined word.
    pub word: Word,
    /// Whether the joined word includes the last word of the query, so that it may be unfinished. `false` if it is
    /// shorter than a tag.
    pub is_last: bool,
    /// Whether it is a pair of longer words, which is less likely to be a word.
    pub is_pair: bool,
}

/// Returns the words of a query in order. A word with signs replaces the words without them.
pub fn query_words(query: &str) -> Vec<QueryWord> {
    let mut pieces = split::pieces(&split::letters(query));
    pieces.retain(|piece| piece.kind != Kind::Inner);
    let is_further = |piece: &mut Piece| matches!(piece.kind, Kind::Joined | Kind::Pair | Kind::Compound);
    let joined: Vec<Piece> = pieces.extract_if(.., is_further).collect();
    let signed: Vec<Range<usize>> =
        pieces.iter().filter(|piece| piece.kind == Kind::Signed).map(|piece| piece.letters.clone()).collect();
    let covers =
        |whole: &Range<usize>, part: &Range<usize>| whole != part && whole.start <= part.start && part.end <= whole.end;
    pieces.retain(|piece| !signed.iter().any(|whole| covers(whole, &piece.letters)));
    let end = pieces.last().map_or(0, |last| last.letters.end);
    let joined: Vec<(Range<usize>, Joined)> = joined
        .iter()
        .zip(to_words(&joined))
        .map(|(piece, word)| {
            let is_last = piece.letters.end == end && !word.is_run && word.word.chars().count() >= TAGGED;
            (piece.letters.clone(), Joined { word, is_last, is_pair: piece.kind == Kind::Pair })
        })
        .collect();
    let parts = |piece: &Piece| {
        let stands_for = |(whole, joined): &&(Range<usize>, Joined)| match joined.word.is_run {
            true => *whole == piece.letters,
            false => covers(whole, &piece.letters),
        };
        joined.iter().filter(stands_for).map(|(_, joined)| joined.clone()).collect()
    };
    pieces.iter().zip(to_words(&pieces)).map(|(piece, word)| QueryWord { word, joined: parts(piece) }).collect()
}

/// Returns the words of `text` with their positions.
pub fn located_words(text: &str) -> Vec<LocatedWord> {
    let letters = split::letters(text);
    let pieces = split::pieces(&letters);
    let words = to_words(&pieces);
    let place = |(piece, word): (Piece, Word)| {
        let (of, is_pair) = (&letters[piece.letters], piece.kind == Kind::Pair);
        let bytes = of.first().map_or(0, |first| first.bytes.start)..of.last().map_or(0, |last| last.bytes.end);
        let each = |of: &[Letter]| of.iter().map(|letter| letter.bytes.clone()).collect();
        let letters = if word.is_run { each(of) } else { Vec::new() };
        LocatedWord { word, bytes, letters, is_pair }
    };
    pieces.into_iter().zip(words).map(place).collect()
}

fn to_words(pieces: &[Piece]) -> Vec<Word> {
    let folded = tokenize::fold_each(pieces.iter().map(|piece| piece.text.clone()).collect());
    let stems = tokenize::stem_each(folded.clone());
    let words = pieces.iter().zip(folded.into_iter().zip(stems));
    words
        .map(|(piece, (word, stem))| match piece.kind {
            Kind::Run | Kind::Compound => Word { word: piece.text.clone(), stem: piece.text.clone(), is_run: true },
            Kind::Word | Kind::Signed | Kind::Inner | Kind::Joined | Kind::Pair => Word { word, stem, is_run: false },
        })
        .collect()
}

/// Returns for each word whether it must match: all except stop words, or all of them when every word is a stop word.
pub fn required(words: &[QueryWord]) -> Vec<bool> {
    let Some(stop) = StopWordFilter::new(Language::English) else { return vec![true; words.len()] };
    let mut keeps = TextAnalyzer::builder(RawTokenizer::default()).filter(stop).build();
    let kept: Vec<bool> = words.iter().map(|word| keeps.token_stream(&word.word.word).advance()).collect();
    if kept.contains(&true) { kept } else { vec![true; words.len()] }
}

/// Returns the pairs of adjacent letters of a run, and its last letter.
pub fn bigrams(run: &str) -> impl Iterator<Item = &str> {
    run.char_indices().map(|(start, _)| first(&run[start..], 2))
}

/// Returns the beginnings from which the tags of a text with these words are made: of each word the first one, two and
/// three characters, and the first three of its stem; of each run every letter and every pair of letters.
pub fn beginnings(words: &[Word]) -> BTreeSet<&str> {
    let mut beginnings = BTreeSet::new();
    for word in words {
        if word.is_run {
            beginnings.extend(bigrams(&word.word).flat_map(|gram| [gram, first(gram, 1)]));
        } else {
            beginnings.extend((1..=TAGGED).map(|chars| first(&word.word, chars)));
            beginnings.insert(first(&word.stem, TAGGED));
        }
    }
    beginnings
}

impl Word {
    /// Returns one of the [`beginnings`] of every text that this word matches, by its stem or as a run.
    pub fn beginning(&self) -> &str {
        if self.is_run { first(&self.word, 2) } else { first(&self.stem, TAGGED) }
    }

    /// Returns one of the [`beginnings`] of every text that contains a word with this prefix.
    pub fn beginning_as_prefix(&self) -> &str {
        if self.is_run { self.beginning() } else { first(&self.word, TAGGED) }
    }
}

impl Word {
    /// Returns the pairs of letters of a run. For a run of one letter, returns the run itself.
    pub fn pairs(&self) -> impl Iterator<Item = Self> + '_ {
        let letters = self.word.chars().count();
        let parts = bigrams(&self.word).take(letters.saturating_sub(1).max(1));
        parts.map(|part| Self { word: part.to_owned(), stem: part.to_owned(), is_run: true })
    }

    /// Returns whether the run consists of ideographs. Two ideographs are usually a word; two letters of another script
    /// are not.
    pub fn is_ideographic(&self) -> bool {
        self.is_run && self.word.chars().all(|letter| letter.script() == Script::Han)
    }
}

fn first(word: &str, chars: usize) -> &str {
    word.char_indices().nth(chars).map_or(word, |(end, _)| &word[..end])
}

#[cfg(test)]
mod tests;
