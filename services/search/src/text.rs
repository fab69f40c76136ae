//! From text to words: the same way for what is indexed, what is asked for, and what is highlighted.
//!
//! A word is a run of letters and digits, in small letters and without accents. Its *stem* is what it shares with its
//! other forms (`lamps`, `lamp`). Both are indexed: stems are what a word matches by, words are what a prefix or a typo
//! is compared with.

use std::collections::BTreeSet;
use std::ops::Range;

use tantivy::tokenizer::{
    AsciiFoldingFilter, Language, LowerCaser, RemoveLongFilter, SimpleTokenizer, Stemmer, StopWordFilter, TextAnalyzer,
    TokenFilter, Tokenizer, TokenizerManager,
};

/// The tokenizer of fields that hold words.
pub const WORDS: &str = "words";
/// The tokenizer of fields that hold stems.
pub const STEMS: &str = "stems";

/// Bytes: longer runs are not language.
const LONGEST: usize = 64;

/// Characters of a word that a tag is made of; see `keys.rs`.
const TAGGED: usize = 3;

/// A word and its stem.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Word {
    /// As it stands in the text, but for case and accents.
    pub word: String,
    /// What it shares with its other forms.
    pub stem: String,
}

/// The words of `text`, in order.
pub fn words(text: &str) -> Vec<Word> {
    placed(text).into_iter().map(|(_, word)| word).collect()
}

/// The words of `text` with their places, in bytes.
pub fn placed(text: &str) -> Vec<(Range<usize>, Word)> {
    let plain = tokens(&mut TextAnalyzer::builder(base()).build(), text);
    let stems = tokens(&mut TextAnalyzer::builder(base()).filter(Stemmer::new(Language::English)).build(), text);
    plain.into_iter().zip(stems).map(|((place, word), (_, stem))| (place, Word { word, stem })).collect()
}

/// Those of `words` that carry a meaning; all of them when none does.
pub fn required(words: &[Word]) -> Vec<bool> {
    let Some(stop) = StopWordFilter::new(Language::English) else { return vec![true; words.len()] };
    let mut keeps = TextAnalyzer::builder(base()).filter(stop).build();
    let kept: Vec<bool> = words.iter().map(|word| !tokens(&mut keeps, &word.word).is_empty()).collect();
    if kept.contains(&true) { kept } else { vec![true; words.len()] }
}

/// The beginnings by which pages know that a text with these words may concern them: of each word the first one, two
/// and three characters, and the first three of its stem.
pub fn beginnings(words: &[Word]) -> BTreeSet<&str> {
    let of_word = words.iter().flat_map(|word| (1..=TAGGED).map(|chars| first(&word.word, chars)));
    of_word.chain(words.iter().map(|word| first(&word.stem, TAGGED))).collect()
}

/// The first characters of `word` that a tag is made of.
pub fn beginning(word: &str) -> &str {
    first(word, TAGGED)
}

fn first(word: &str, chars: usize) -> &str {
    word.char_indices().nth(chars).map_or(word, |(end, _)| &word[..end])
}

/// The tokenizers that the index knows by name.
pub fn tokenizers() -> TokenizerManager {
    let tokenizers = TokenizerManager::default();
    let long = || RemoveLongFilter::limit(LONGEST);
    tokenizers.register(WORDS, TextAnalyzer::builder(base()).filter(long()).build());
    let stems = TextAnalyzer::builder(base()).filter(long()).filter(Stemmer::new(Language::English)).build();
    tokenizers.register(STEMS, stems);
    tokenizers
}

fn base() -> impl Tokenizer {
    AsciiFoldingFilter.transform(LowerCaser.transform(SimpleTokenizer::default()))
}

fn tokens(analyzer: &mut TextAnalyzer, text: &str) -> Vec<(Range<usize>, String)> {
    let mut tokens = Vec::new();
    analyzer.token_stream(text).process(&mut |token| {
        tokens.push((token.offset_from..token.offset_to, token.text.clone()));
    });
    tokens
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(text: &str) -> Vec<(String, String)> {
        words(text).into_iter().map(|word| (word.word, word.stem)).collect()
    }

    #[test]
    fn text_becomes_words_and_stems() {
        let expected = [("cafe", "cafe"), ("lamps", "lamp"), ("running", "run"), ("e27", "e27")];
        let expected: Vec<_> = expected.map(|(word, stem)| (word.to_owned(), stem.to_owned())).into();
        assert_eq!(pairs("Café-LAMPS, (running)  \"E27\"!"), expected);
        assert_eq!(pairs(" *:~^ && || \\ "), []);
    }

    #[test]
    fn words_without_a_meaning_are_not_required_unless_there_is_nothing_else() {
        assert_eq!(required(&words("the lamp of")), [false, true, false]);
        assert_eq!(required(&words("to be")), [true, true]);
        assert_eq!(required(&[]), [true; 0]);
    }

    #[test]
    fn whatever_matches_a_word_shares_a_beginning_with_it() {
        for (asked, text) in [("lamps", "lamp"), ("dying", "die"), ("skies", "sky"), ("straße", "strasse")] {
            let (asked, text) = (words(asked), words(text));
            assert_eq!(asked[0].stem, text[0].stem, "the test is about nothing");
            assert!(beginnings(&text).contains(beginning(&asked[0].stem)), "{asked:?} {text:?}");
        }
        let text = words("Übergröße");
        for prefix in ["u", "ub", "ube", "uber", "ubergrosse"] {
            assert!(beginnings(&text).contains(beginning(prefix)), "{prefix}");
        }
    }
}
