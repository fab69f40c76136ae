//! The tokenizers for tantivy.

use std::vec::IntoIter;

use tantivy::tokenizer::{
    AsciiFoldingFilter, Language, Stemmer, TextAnalyzer, Token, TokenFilter, TokenStream, Tokenizer, TokenizerManager,
};

use super::bigrams;
use super::split::{Kind, Piece, letters, pieces};

/// The name of the tokenizer for fields of words.
pub const WORDS: &str = "words";
/// The name of the tokenizer for fields of stems.
pub const STEMS: &str = "stems";
/// The name of the tokenizer for fields of pairs of words, stemmed.
pub const PAIRS: &str = "pairs";
/// The name of the tokenizer for fields of letter pairs of scripts without spaces.
pub const GRAMS: &str = "grams";

/// Returns the tokenizers that the index knows by name.
pub fn tokenizers() -> TokenizerManager {
    let tokenizers = TokenizerManager::default();
    let stemmed = |words| TextAnalyzer::builder(plain(words)).filter(Stemmer::new(Language::English)).build();
    tokenizers.register(WORDS, TextAnalyzer::builder(plain(Words(is_word))).build());
    tokenizers.register(STEMS, stemmed(Words(is_word)));
    tokenizers.register(PAIRS, stemmed(Words(is_pair)));
    tokenizers.register(GRAMS, TextAnalyzer::builder(Grams).build());
    tokenizers
}

/// Folds letters that have no decomposition but an equivalent: `ø`, `ß`, `ł`.
fn plain(tokenizer: impl Tokenizer) -> impl Tokenizer {
    AsciiFoldingFilter.transform(tokenizer)
}

/// Folds each word further.
pub(super) fn fold_each(words: Vec<String>) -> Vec<String> {
    collect(TextAnalyzer::builder(plain(Replay(words))).build())
}

pub(super) fn stem_each(words: Vec<String>) -> Vec<String> {
    collect(TextAnalyzer::builder(Replay(words)).filter(Stemmer::new(Language::English)).build())
}

fn collect(mut analyzer: TextAnalyzer) -> Vec<String> {
    let mut words = Vec::new();
    analyzer.token_stream("").process(&mut |token| words.push(token.text.clone()));
    words
}

/// Splits a text into words, with and without their signs, and keeps those of some kinds.
#[derive(Clone)]
struct Words(fn(&Piece) -> bool);

impl Tokenizer for Words {
    type TokenStream<'a> = Replayed;

    fn token_stream<'a>(&'a mut self, text: &'a str) -> Replayed {
        let words = pieces(&letters(text)).into_iter().filter(self.0);
        Replayed::new(words.map(|piece| piece.text).collect())
    }
}

/// Splits each run into the pairs of adjacent letters and the last letter. So every letter begins a token, and tokens
/// at consecutive positions belong to the same run.
#[derive(Clone)]
struct Grams;

impl Tokenizer for Grams {
    type TokenStream<'a> = Replayed;

    fn token_stream<'a>(&'a mut self, text: &'a str) -> Replayed {
        let runs = pieces(&letters(text)).into_iter().filter(is_run);
        Replayed::new(runs.flat_map(|run| bigrams(&run.text).map(str::to_owned).collect::<Vec<_>>()).collect())
    }
}

fn is_word(piece: &Piece) -> bool {
    !is_run(piece) && !is_pair(piece)
}

fn is_pair(piece: &Piece) -> bool {
    piece.kind == Kind::Pair
}

fn is_run(piece: &Piece) -> bool {
    matches!(piece.kind, Kind::Run | Kind::Compound)
}

/// Returns prepared words as tokens and ignores the text.
#[derive(Clone)]
struct Replay(Vec<String>);

impl Tokenizer for Replay {
    type TokenStream<'a> = Replayed;

    fn token_stream<'a>(&'a mut self, _: &'a str) -> Replayed {
        Replayed::new(std::mem::take(&mut self.0))
    }
}

struct Replayed {
    words: IntoIter<String>,
    token: Token,
}

impl Replayed {
    fn new(words: Vec<String>) -> Self {
        Self { words: words.into_iter(), token: Token::default() }
    }
}

impl TokenStream for Replayed {
    fn advance(&mut self) -> bool {
        let Some(word) = self.words.next() else { return false };
        self.token.text = word;
        self.token.position = self.token.position.wrapping_add(1);
        true
    }

    fn token(&self) -> &Token {
        &self.token
    }

    fn token_mut(&mut self) -> &mut Token {
        &mut self.token
    }
}
