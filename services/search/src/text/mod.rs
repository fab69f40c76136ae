//! From text to words: the same way for what is indexed, what is asked for, and what is highlighted.
//!
//! A word is a run of letters and digits, folded, with the signs that are part of a name (`C++`). Its *stem* is what it
//! shares with its other forms (`lamps`, `lamp`). Both are indexed: stems are what a word matches by, words are what a
//! prefix or a typo is compared with. In scripts without spaces (Chinese, Japanese, Thai …) nothing says where a word
//! ends, so a *run* of such letters is indexed as pairs of letters, and matches wherever it occurs in another run.
//!
//! | module | what it is for |
//! |---|---|
//! | `fold` | characters as they are compared |
//! | `split` | where words begin and end |
//! | `join` | words that other people write together |
//! | `tokenize` | the same for tantivy |

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
pub use tokenize::{GRAMS, STEMS, WORDS, tokenizers};

/// Characters of a word that a tag is made of; see `keys.rs`.
const TAGGED: usize = 3;

/// A word and its stem, or a run.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Word {
    /// As it stands in the text, but folded.
    pub word: String,
    /// What it shares with its other forms. A run is its own stem.
    pub stem: String,
    /// Whether it is of a script without spaces.
    pub is_run: bool,
}

/// A word at its place in a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placed {
    /// The word.
    pub word: Word,
    /// Its bytes in the text.
    pub bytes: Range<usize>,
    /// Of a run: the bytes of each of its letters.
    pub letters: Vec<Range<usize>>,
}

/// The words of `text`, in order, with and without their signs.
pub fn words(text: &str) -> Vec<Word> {
    let pieces = split::pieces(&fold::letters(text));
    to_words(&pieces)
}

/// A word of a query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// The word.
    pub word: Word,
    /// What it is part of if it is written together with its neighbours. A text may have that in place of the word.
    pub joined: BTreeSet<Joined>,
}

/// Words of a query as if they were written together.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Joined {
    /// All of them, as one.
    pub word: Word,
    /// Whether the last word of the query is one of them, so that it may be unfinished.
    pub is_last: bool,
}

/// The words that a query asks for, in order: those with signs in place of those without.
pub fn asked(query: &str) -> Vec<Asked> {
    let mut pieces = split::pieces(&fold::letters(query));
    pieces.retain(|piece| piece.kind != Kind::Inner);
    let joined: Vec<Piece> = pieces.extract_if(.., |piece| piece.kind == Kind::Joined).collect();
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
            let is_last = piece.letters.end == end && word.word.chars().count() >= TAGGED;
            (piece.letters.clone(), Joined { word, is_last })
        })
        .collect();
    let parts = |piece: &Piece| {
        joined.iter().filter(|(whole, _)| covers(whole, &piece.letters)).map(|(_, joined)| joined.clone()).collect()
    };
    pieces.iter().zip(to_words(&pieces)).map(|(piece, word)| Asked { word, joined: parts(piece) }).collect()
}

/// The words of `text` with their places.
pub fn placed(text: &str) -> Vec<Placed> {
    let letters = fold::letters(text);
    let pieces = split::pieces(&letters);
    let words = to_words(&pieces);
    let place = |(piece, word): (Piece, Word)| {
        let of = &letters[piece.letters];
        let bytes = of.first().map_or(0, |first| first.bytes.start)..of.last().map_or(0, |last| last.bytes.end);
        let each = |of: &[Letter]| of.iter().map(|letter| letter.bytes.clone()).collect();
        let letters = if word.is_run { each(of) } else { Vec::new() };
        Placed { word, bytes, letters }
    };
    pieces.into_iter().zip(words).map(place).collect()
}

fn to_words(pieces: &[Piece]) -> Vec<Word> {
    let folded = tokenize::fold_each(pieces.iter().map(|piece| piece.text.clone()).collect());
    let stems = tokenize::stem_each(folded.clone());
    let words = pieces.iter().zip(folded.into_iter().zip(stems));
    words
        .map(|(piece, (word, stem))| match piece.kind {
            Kind::Run => Word { word: piece.text.clone(), stem: piece.text.clone(), is_run: true },
            Kind::Word | Kind::Signed | Kind::Inner | Kind::Joined => Word { word, stem, is_run: false },
        })
        .collect()
}

/// Those of `words` that carry a meaning; all of them when none does.
pub fn required(words: &[Asked]) -> Vec<bool> {
    let Some(stop) = StopWordFilter::new(Language::English) else { return vec![true; words.len()] };
    let mut keeps = TextAnalyzer::builder(RawTokenizer::default()).filter(stop).build();
    let kept: Vec<bool> = words.iter().map(|word| keeps.token_stream(&word.word.word).advance()).collect();
    if kept.contains(&true) { kept } else { vec![true; words.len()] }
}

/// Of a run: every pair of letters that follow one another, and the last letter.
pub fn grams(run: &str) -> impl Iterator<Item = &str> {
    run.char_indices().map(|(start, _)| first(&run[start..], 2))
}

/// The beginnings by which pages know that a text with these words may concern them: of each word the first one, two
/// and three characters, and the first three of its stem; of each run every letter and every pair of letters.
pub fn beginnings(words: &[Word]) -> BTreeSet<&str> {
    let mut beginnings = BTreeSet::new();
    for word in words {
        if word.is_run {
            beginnings.extend(grams(&word.word).flat_map(|gram| [gram, first(gram, 1)]));
        } else {
            beginnings.extend((1..=TAGGED).map(|chars| first(&word.word, chars)));
            beginnings.insert(first(&word.stem, TAGGED));
        }
    }
    beginnings
}

impl Word {
    /// One of the [`beginnings`] of every text that this word matches by its stem, or as a run.
    pub fn beginning(&self) -> &str {
        if self.is_run { first(&self.word, 2) } else { first(&self.stem, TAGGED) }
    }

    /// One of the [`beginnings`] of every text with a word that begins with this one.
    pub fn beginning_as_prefix(&self) -> &str {
        if self.is_run { self.beginning() } else { first(&self.word, TAGGED) }
    }
}

impl Word {
    /// The pairs of letters of a run; a run of one letter is its own only part.
    pub fn pairs(&self) -> impl Iterator<Item = Self> + '_ {
        let letters = self.word.chars().count();
        let parts = grams(&self.word).take(letters.saturating_sub(1).max(1));
        parts.map(|part| Self { word: part.to_owned(), stem: part.to_owned(), is_run: true })
    }

    /// Whether it consists of ideographs. Two of them are mostly a word; two letters of any other script are not.
    pub fn is_ideographic(&self) -> bool {
        self.is_run && self.word.chars().all(|letter| letter.script() == Script::Han)
    }
}

fn first(word: &str, chars: usize) -> &str {
    word.char_indices().nth(chars).map_or(word, |(end, _)| &word[..end])
}

#[cfg(test)]
mod tests;
