//! The tantivy query: how words match, and how a match is scored.
//!
//! Every word except stop words must match, in any field; the fields may differ from word to word. When no product has
//! all of them, a product matches that has at least half of the query's [units](super::search::Units), and the products
//! with the most units come first (`MatchMode::Partial`). The last attempt allows typos in these units, too.
//!
//! | a word matches | in the name | in the category's name | in the description |
//! |---|---|---|---|
//! | by its stem | 6 × BM25 | 2.5 | 1 × BM25 |
//! | by its beginning (the last word) | 0.05 | 0.04 | 0.03 |
//! | with one or two typos | 0.02 | 0.015 | 0.01 |
//! | as a pair: `powerbank` for `power bank` | 3 | 1.25 | |
//! | by its stem, joined with a long word | 3 × BM25 | 1.25 | 0.5 × BM25 |
//! | within a run (a script without spaces, or Korean) | 6 × BM25 | 2.5 | 1 × BM25 |
//!
//! BM25 is used without its inverse document frequency. That would weigh the words of a query against one another, but
//! every result has all of them. In return, a score depends only on the query and the product. So it is the same on
//! every replica, and it does not move when other products change; a cached page is in the order that a search would
//! produce now, and a [cursor](super::cursor) stays valid.
//!
//! The query is built from words and never parsed from the input, so no input can be a syntax error.

use std::collections::BTreeSet;

use tantivy::query::{
    AllQuery, Bm25StatisticsProvider, BooleanQuery, BoostQuery, ConstScoreQuery, DisjunctionMaxQuery, EmptyQuery,
    FuzzyTermQuery, Occur, PhraseQuery, Query, TermQuery,
};
use tantivy::schema::{Field, IndexRecordOption};
use tantivy::{Score, Term};

use super::cursor::MatchMode;
use super::search::{QueryTerms, Units};
use crate::index::{Categories, Fields};
use crate::text::{self, Joined, QueryWord, Word};

/// The weight of a match in the name, in the category's name, and in the description.
type FieldWeights = [Score; 3];

const BY_STEM: FieldWeights = [6.0, 2.5, 1.0];
const BY_BEGINNING: FieldWeights = [0.05, 0.04, 0.03];
const BY_TYPO: FieldWeights = [0.02, 0.015, 0.01];

const BY_PAIR: FieldWeights = [3.0, 1.25, 0.0];

/// The share of the weight of a word that counts for a pair of words: `car pet` is rarely a `carpet`.
const PAIR_SHARE: Score = 0.5;

const BY_IDEOGRAPH: FieldWeights = [3.0, 0.0, 0.5];

/// An upper bound for the score of one unit with its ideographs: BM25 is at most 2.2, times 6 for a name.
const MOST_WORTH: Score = 32.0;

/// The maximum number of ideographs that are scored alone: each scans all pairs that begin with it.
const MOST_IDEOGRAPHS: usize = 16;

/// A query with more words than this is not searched with typos.
const MOST_WORDS_WITH_TYPOS: usize = 8;

/// Returns how many letters of a word may be wrong, by its length. Signs do not count: `c++` is a short word.
pub fn tolerance(word: &Word) -> u8 {
    if word.is_run {
        return 0;
    }
    match word.word.chars().filter(|c| !c.is_ascii_punctuation()).count() {
        0..=3 => 0,
        4..=7 => 1,
        _ => 2,
    }
}

/// Returns whether a search that finds nothing is repeated with typos.
pub fn can_have_typos(about: &QueryTerms) -> bool {
    match about {
        QueryTerms::Words(words) => {
            let can_be_one =
                |query_word: &QueryWord| ways(query_word, false).any(|way| !way.is_pair && tolerance(way.word) > 0);
            words.len() <= MOST_WORDS_WITH_TYPOS && words.iter().any(|(query_word, _)| can_be_one(query_word))
        }
        QueryTerms::Anything | QueryTerms::Nothing => false,
    }
}

/// Builds the query for `about`.
pub fn build(about: &QueryTerms, likeness: MatchMode, fields: &Fields, categories: &Categories) -> Box<dyn Query> {
    let words = match about {
        QueryTerms::Anything => return Box::new(ConstScoreQuery::new(Box::new(AllQuery), 0.0)),
        QueryTerms::Nothing => return Box::new(EmptyQuery),
        QueryTerms::Words(words) => words,
    };
    if let Some(units) = about.units().filter(|_| likeness.is_partial()) {
        return partial(&units, likeness, fields, categories);
    }
    let (required, optional) = clauses(words, likeness, fields, categories);
    let must = required.into_iter().map(|clause| (Occur::Must, clause));
    let should = optional.into_iter().map(|clause| (Occur::Should, clause));
    Box::new(BooleanQuery::new(must.chain(should).collect()))
}

/// Builds the query for partial matches. The score is the number of matched units, plus a fraction for the quality of
/// these matches. So products with the same number of units are in the order of a strict search.
fn partial(units: &Units, likeness: MatchMode, fields: &Fields, categories: &Categories) -> Box<dyn Query> {
    let (required, mut optional) = clauses(&units.words, likeness, fields, categories);
    let counts =
        required.iter().map(|clause| Box::new(ConstScoreQuery::new(clause.box_clone(), 1.0)) as Box<dyn Query>);
    let counts = BooleanQuery::union_with_minimum_required_clauses(counts.collect(), units.fewest);
    let part = 1.0 / (MOST_WORTH * units.words.len() as Score);
    optional.extend(required);
    optional.extend(ideographs(units, fields));
    let worth = BoostQuery::new(Box::new(BooleanQuery::union(optional)), part);
    Box::new(BooleanQuery::new(vec![(Occur::Must, Box::new(counts)), (Occur::Should, Box::new(worth))]))
}

/// Builds the clauses for single ideographs, which also have a meaning alone: of two products with 手机 (phone), the one
/// that also has 壳 (case) is more likely a 手机壳 (phone case). They change only the order of partial matches.
fn ideographs(units: &Units, fields: &Fields) -> Clauses {
    let pairs = units.words.iter().filter(|(query_word, _)| query_word.word.is_ideographic());
    let letters: BTreeSet<char> = pairs.flat_map(|(query_word, _)| query_word.word.word.chars()).collect();
    let clause = |letter: char| -> Box<dyn Query> {
        let mut bytes = [0; 4];
        let letter = &*letter.encode_utf8(&mut bytes);
        let names = [(fields.name_grams, BY_IDEOGRAPH[0]), (fields.description_grams, BY_IDEOGRAPH[2])];
        let way = |(field, worth)| -> Box<dyn Query> {
            Box::new(ConstScoreQuery::new(automaton(field, letter, 0, true), worth))
        };
        Box::new(DisjunctionMaxQuery::new(names.map(way).into()))
    };
    letters.into_iter().take(MOST_IDEOGRAPHS).map(clause).collect()
}

/// Returns the clauses of the required words, and those of stop words.
fn clauses(
    words: &[(QueryWord, bool)], likeness: MatchMode, fields: &Fields, categories: &Categories,
) -> (Clauses, Clauses) {
    let last = words.len().saturating_sub(1);
    let names: Names = categories.iter().map(|(id, name)| (*id, text::words(name), text::pairs(name))).collect();
    let mut clauses = (Clauses::new(), Clauses::new());
    for (place, (query_word, required)) in words.iter().enumerate() {
        let how = How { is_last: place == last, is_pair: false, likeness };
        let clause = matches(query_word, how, fields, &names);
        if *required { clauses.0.push(clause) } else { clauses.1.push(clause) }
    }
    clauses
}

type Clauses = Vec<Box<dyn Query>>;

/// Of each category, the words and the pairs of its name.
type Names = Vec<(i64, Vec<Word>, Vec<Word>)>;

/// How a word may match.
#[derive(Clone, Copy)]
struct How {
    is_last: bool,
    is_pair: bool,
    likeness: MatchMode,
}

impl How {
    fn tolerance(self, word: &Word) -> u8 {
        if self.likeness.has_typos() && !self.is_pair { tolerance(word) } else { 0 }
    }

    fn share(self) -> Score {
        if self.is_pair { PAIR_SHARE } else { 1.0 }
    }
}

/// A word that may stand for a word of the query in a text.
#[derive(Clone, Copy, Debug)]
pub struct Way<'a> {
    /// The word.
    pub word: &'a Word,
    /// Whether it may be unfinished.
    pub is_last: bool,
    /// Whether it is a pair of longer words. Then it may have no typos.
    pub is_pair: bool,
}

/// Returns the words that may stand for this one in a text: the word itself, and its joined forms.
pub fn ways(query_word: &QueryWord, is_last: bool) -> impl Iterator<Item = Way<'_>> {
    let joined = query_word.joined.iter();
    let joined = joined.map(|Joined { word, is_last, is_pair }| Way { word, is_last: *is_last, is_pair: *is_pair });
    [Way { word: &query_word.word, is_last, is_pair: false }].into_iter().chain(joined)
}

/// Builds the clause of one word. Where `t` and `shirt` may each be `tshirt`, a product matches that has `tshirt`, or
/// both `t` and `shirt`.
fn matches(query_word: &QueryWord, how: How, fields: &Fields, names: &Names) -> Box<dyn Query> {
    let way = |Way { word, is_last, is_pair }| (word, How { is_last, is_pair, ..how });
    let words: Vec<(&Word, How)> = ways(query_word, how.is_last).map(way).collect();
    let each = words.iter().map(|(word, how)| if word.is_run { run(word, fields) } else { spaced(word, *how, fields) });
    let mut ways: Clauses = each.flatten().collect();
    for (id, name, pairs) in names {
        let worths = words.iter().flat_map(|(word, how)| {
            let is_named = !how.is_pair && pairs.iter().any(|pair| pair.stem == word.stem);
            let by_pair = is_named.then_some(BY_PAIR[1]);
            name.iter().filter_map(|named| worth_of(word, named, *how)).chain(by_pair)
        });
        let best = worths.reduce(Score::max);
        if let Some(worth) = best {
            let term = Term::from_field_i64(fields.category, *id);
            let category = TermQuery::new(term, IndexRecordOption::Basic);
            ways.push(Box::new(ConstScoreQuery::new(Box::new(category), worth)));
        }
    }
    Box::new(DisjunctionMaxQuery::with_tie_breaker(ways, 0.1))
}

/// Returns the clauses for a run within a text's run: all of its pairs of letters in sequence.
fn run(run: &Word, fields: &Fields) -> Clauses {
    let mut pairs: Vec<&str> = text::bigrams(&run.word).collect();
    // The last gram is a single letter. It counts only in a run of one letter.
    let single = pairs.pop().filter(|_| pairs.is_empty());
    let way = |(field, worth): (Field, Score)| -> Box<dyn Query> {
        if let Some(letter) = single {
            return Box::new(ConstScoreQuery::new(automaton(field, letter, 0, true), worth));
        }
        let terms: Vec<Term> = pairs.iter().map(|pair| Term::from_field_text(field, pair)).collect();
        // BM25 adds up over the terms of a phrase.
        let worth = worth / terms.len() as Score;
        let query: Box<dyn Query> = match &terms[..] {
            [term] => Box::new(TermQuery::new(term.clone(), IndexRecordOption::WithFreqs)),
            _ => Box::new(PhraseQuery::new(terms)),
        };
        Box::new(BoostQuery::new(query, worth))
    };
    [(fields.name_grams, BY_STEM[0]), (fields.description_grams, BY_STEM[2])].map(way).into()
}

/// Returns the clauses for a word of a script with spaces.
fn spaced(word: &Word, how: How, fields: &Fields) -> Clauses {
    let mut ways: Clauses = Vec::with_capacity(8);
    for (field, worth) in [(fields.name_stems, BY_STEM[0]), (fields.description_stems, BY_STEM[2])] {
        let term = TermQuery::new(Term::from_field_text(field, &word.stem), IndexRecordOption::WithFreqs);
        ways.push(Box::new(BoostQuery::new(Box::new(term), worth * how.share())));
    }
    let mut constant = |query: Box<dyn Query>, worth| ways.push(Box::new(ConstScoreQuery::new(query, worth)));
    if !how.is_pair {
        let pair = Term::from_field_text(fields.name_pairs, &word.stem);
        constant(Box::new(TermQuery::new(pair, IndexRecordOption::Basic)), BY_PAIR[0]);
    }
    let names = [(fields.name_words, 0), (fields.description_words, 2)];
    if how.is_last {
        for (field, place) in names {
            constant(automaton(field, &word.word, 0, true), BY_BEGINNING[place]);
        }
    }
    let tolerance = how.tolerance(word);
    if tolerance > 0 {
        for (field, place) in names {
            constant(automaton(field, &word.word, tolerance, false), BY_TYPO[place]);
        }
        for (field, place) in [(fields.name_stems, 0), (fields.description_stems, 2)] {
            constant(automaton(field, &word.stem, tolerance, false), BY_TYPO[place]);
        }
    }
    ways
}

/// Returns the weight of a category whose name has the word `named`; `None` when `word` does not match it.
fn worth_of(word: &Word, named: &Word, how: How) -> Option<Score> {
    if word.stem == named.stem || is_within(word, named) {
        Some(BY_STEM[1] * how.share())
    } else if how.is_last && begins(word, named) {
        Some(BY_BEGINNING[1])
    } else if is_nearly(word, named, how.tolerance(word)) {
        Some(BY_TYPO[1])
    } else {
        None
    }
}

/// Returns whether the run `word` is part of the run `other`.
pub fn is_within(word: &Word, other: &Word) -> bool {
    word.is_run && other.is_run && other.word.contains(&word.word)
}

/// Returns whether `other` begins with `word`, which may be unfinished.
pub fn begins(word: &Word, other: &Word) -> bool {
    !word.is_run && !other.is_run && other.word.starts_with(&word.word)
}

/// Returns whether two words, or their stems, differ by at most `tolerance` letters. Two transposed letters count as
/// one.
pub fn is_nearly(one: &Word, other: &Word, tolerance: u8) -> bool {
    let nearly = |one: &str, other: &str| strsim::osa_distance(one, other) <= usize::from(tolerance);
    tolerance > 0 && !other.is_run && (nearly(&one.word, &other.word) || nearly(&one.stem, &other.stem))
}

fn automaton(field: Field, word: &str, tolerance: u8, is_beginning: bool) -> Box<dyn Query> {
    let term = Term::from_field_text(field, word);
    Box::new(match is_beginning {
        true => FuzzyTermQuery::new_prefix(term, tolerance, true),
        false => FuzzyTermQuery::new(term, tolerance, true),
    })
}

/// Fixed BM25 statistics: every word occurs in about a third of a thousand products, and texts have usual lengths. Then
/// the inverse document frequency is 1.
pub struct FixedStatistics {
    /// The fields, to distinguish names from descriptions.
    pub fields: Fields,
}

impl Bm25StatisticsProvider for FixedStatistics {
    fn total_num_tokens(&self, field: Field) -> tantivy::Result<u64> {
        let is_name = [self.fields.name_stems, self.fields.name_grams].contains(&field);
        let usual = if is_name { 6 } else { 32 };
        Ok(1_000 * usual)
    }

    fn total_num_docs(&self) -> tantivy::Result<u64> {
        Ok(1_000)
    }

    fn doc_freq(&self, _: &Term) -> tantivy::Result<u64> {
        Ok(368)
    }
}
