//! The query in its normal form: two queries with the same meaning have the same page in the cache.
//!
//! Words are folded, and each occurs once. All but the last are in alphabetical order, because their order has no
//! meaning, except that neighbouring words may stand for one word. The last word stays last: it may be unfinished, so it also
//! matches by its beginning.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use cache::Tag;

use super::cursor::Cursor;
use crate::keys::{self, PageBasis};
use crate::text::{self, Joined, QueryWord, Word};

/// A search for one page of results.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Search {
    /// The words that products must have.
    pub about: QueryTerms,
    /// The filter that applies in addition.
    pub filter: Filter,
    /// The maximum number of results on a page.
    pub limit: usize,
    /// The result after which the page begins.
    pub cursor: Option<Cursor>,
}

/// The words that products must have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum QueryTerms {
    /// The query is empty: the whole catalogue, by id.
    Anything,
    /// The query has no letter or digit, so nothing matches.
    Nothing,
    /// The words, in normal order. Those marked `false` are stop words and may be missing.
    Words(Vec<(QueryWord, bool)>),
}

/// Which texts can change the result of a search.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TextReach {
    /// Texts with every word of the query.
    EveryWord,
    /// Texts with any unit of the query: a word, or a pair of letters of a run.
    AnyUnit,
    /// All texts, because any may have a word that is similar to one of the query.
    AnyText,
}

/// The filter that applies in addition to the words.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// The category of the product.
    pub category: Option<i64>,
    /// The minimum price in cents.
    pub min_price: Option<i64>,
    /// The maximum price in cents.
    pub max_price: Option<i64>,
}

impl QueryTerms {
    /// Parses a query as the client sent it.
    pub fn parse(q: &str) -> Self {
        let mut words = text::query_words(q);
        let Some(mut last) = words.pop() else {
            return if q.trim().is_empty() { Self::Anything } else { Self::Nothing };
        };
        let mut others: BTreeMap<Word, BTreeSet<Joined>> = BTreeMap::new();
        for QueryWord { word, joined } in words {
            let known = if word == last.word { &mut last.joined } else { others.entry(word).or_default() };
            known.extend(joined);
        }
        let mut words: Vec<QueryWord> = others.into_iter().map(|(word, joined)| QueryWord { word, joined }).collect();
        words.push(last);
        let required = text::required(&words);
        Self::Words(words.into_iter().zip(required).collect())
    }
}

/// The requirements for a partial match.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Units {
    /// The words, with each run replaced by its pairs of letters, each once. Those marked `false` are not counted.
    pub words: Vec<(QueryWord, bool)>,
    /// The minimum number of counted units that a product must have.
    pub fewest: usize,
}

impl QueryTerms {
    /// Returns the units of a partial match; `None` where the query has too few.
    ///
    /// Half of the units is enough. But one pair of letters of an alphabet or a syllabary has no meaning alone: a query
    /// of only such pairs needs two.
    pub fn units(&self) -> Option<Units> {
        let Self::Words(words) = self else { return None };
        let (last, others) = words.split_last()?;
        let mut units: Vec<(QueryWord, bool)> = Vec::new();
        let parts = |(query_word, required): &(QueryWord, bool)| -> Vec<(QueryWord, bool)> {
            let pair = |word| (QueryWord { word, joined: BTreeSet::new() }, *required);
            match query_word.word.is_run {
                true => query_word.word.pairs().map(pair).collect(),
                false => vec![(query_word.clone(), *required)],
            }
        };
        // The last word stays last, because it may be unfinished.
        for unit in others.iter().chain([last]).flat_map(parts) {
            if !unit.0.word.is_run || !units.contains(&unit) {
                units.push(unit);
            }
        }
        let counted = || units.iter().filter(|(_, required)| *required);
        let means_something =
            |(query_word, _): &(QueryWord, bool)| !query_word.word.is_run || query_word.word.is_ideographic();
        let least = if counted().any(means_something) { 1 } else { 2 };
        let fewest = counted().count().div_ceil(2).max(least);
        (counted().count() > 1).then_some(Units { words: units, fewest })
    }
}

impl Filter {
    /// Returns whether a product of `category` passes.
    pub fn passes_category(&self, category: i64) -> bool {
        self.category.is_none_or(|wanted| wanted == category)
    }

    /// Returns whether a product at `price` passes.
    pub fn passes_price(&self, price: i64) -> bool {
        self.min_price.is_none_or(|least| least <= price) && self.max_price.is_none_or(|most| price <= most)
    }

    fn has_price(&self) -> bool {
        self.min_price.is_some() || self.max_price.is_some()
    }
}

impl Search {
    /// Returns the tags of changes that can alter which products this search finds or counts in a facet. A facet counts
    /// the matches of all categories, whichever is chosen.
    pub fn tags(&self, reach: TextReach) -> Vec<Tag> {
        let made =
            if self.filter.has_price() { &[PageBasis::ByText, PageBasis::ByPrice][..] } else { &[PageBasis::ByText] };
        let mut tags = vec![keys::every_page()];
        for made in made {
            match &self.about {
                QueryTerms::Nothing => {}
                QueryTerms::Anything => tags.push(made.anything()),
                QueryTerms::Words(words) => match reach {
                    TextReach::AnyText => tags.push(made.typo()),
                    TextReach::AnyUnit => {
                        // Without units, a partial match has every word.
                        let units = self.about.units().map_or_else(|| words.clone(), |units| units.words);
                        tags.extend(of_all(&units).into_iter().map(|beginning| made.word(beginning)));
                    }
                    TextReach::EveryWord => {
                        tags.extend(of_one(words).into_iter().map(|beginning| made.word(beginning)))
                    }
                },
            }
        }
        tags
    }

    /// Returns the query and the filter without the page. A cursor belongs to one such subject.
    pub fn subject(&self) -> String {
        let number = |number: Option<i64>| number.map(|number| number.to_string()).unwrap_or_default();
        let Filter { category, min_price, max_price } = self.filter;
        let words = match &self.about {
            QueryTerms::Anything => String::new(),
            QueryTerms::Nothing => "-".to_owned(),
            QueryTerms::Words(words) => {
                words.iter().map(|(query_word, _)| name(query_word)).collect::<Vec<_>>().join("+")
            }
        };
        format!("q={words}&category={}&price={}-{}", number(category), number(min_price), number(max_price))
    }
}

/// Writes the id of the page in the cache.
impl fmt::Display for Search {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}&limit={}", self.subject(), self.limit)?;
        self.cursor.as_ref().map_or(Ok(()), |cursor| write!(f, "&cursor={cursor}"))
    }
}

/// Returns a word as part of the page's key. Its joined forms are included, because they depend on the neighbouring
/// words of the query.
fn name(query_word: &QueryWord) -> String {
    let joined = query_word.joined.iter().map(|joined| {
        // A pair matches in another way than the joined form of words that a sign connects.
        let mark = if joined.is_pair { '^' } else { '~' };
        format!("{mark}{}{}", joined.word.word, if joined.is_last { "*" } else { "" })
    });
    [query_word.word.word.clone()].into_iter().chain(joined).collect()
}

/// Returns the beginnings of the longest word that a product must have. No product enters or leaves the page without
/// one of them in its text.
fn of_one(words: &[(QueryWord, bool)]) -> BTreeSet<&str> {
    let longest = required(words).max_by_key(|(_, query_word)| query_word.word.stem.len());
    longest.map(|(is_last, query_word)| beginnings(is_last, query_word)).unwrap_or_default()
}

/// Returns the beginnings of all units, of which a product must have some.
fn of_all(words: &[(QueryWord, bool)]) -> BTreeSet<&str> {
    required(words).flat_map(|(is_last, query_word)| beginnings(is_last, query_word)).collect()
}

fn required(words: &[(QueryWord, bool)]) -> impl Iterator<Item = (bool, &QueryWord)> {
    let last = words.len().saturating_sub(1);
    words
        .iter()
        .enumerate()
        .filter(|(_, (_, required))| *required)
        .map(move |(at, (query_word, _))| (at == last, query_word))
}

/// Returns the beginnings of one word. The last word has two: it matches by its beginning and by its stem. Its joined
/// forms add theirs.
fn beginnings(is_last: bool, query_word: &QueryWord) -> BTreeSet<&str> {
    let joined = query_word.joined.iter().map(|joined| (joined.is_last, &joined.word));
    let words = [(is_last, &query_word.word)].into_iter().chain(joined);
    words
        .flat_map(|(is_last, word)| {
            [word.beginning(), if is_last { word.beginning_as_prefix() } else { word.beginning() }]
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn search(q: &str) -> Search {
        Search { about: QueryTerms::parse(q), filter: Filter::default(), limit: 20, cursor: None }
    }

    fn tags(search: &Search, reach: TextReach) -> Vec<String> {
        search.tags(reach).iter().map(|tag| tag.as_str().to_owned()).collect()
    }

    #[test]
    fn queries_with_the_same_meaning_have_the_same_key() {
        for (q, key) in [
            ("", "q=&category=&price=-&limit=20"),
            ("  \t", "q=&category=&price=-&limit=20"),
            ("?!", "q=-&category=&price=-&limit=20"),
            ("Lamp", "q=lamp&category=&price=-&limit=20"),
            ("desk;  OAK, lamp", "q=desk+oak+lamp&category=&price=-&limit=20"),
            ("oak, desk; Lamp!", "q=desk+oak+lamp&category=&price=-&limit=20"),
            ("lamp, oak, lamp", "q=oak+lamp&category=&price=-&limit=20"),
            ("lamp oak lamp", "q=oak^lampoak^oaklamp*+lamp^lampoak^oaklamp*&category=&price=-&limit=20"),
            ("lamp desk", "q=lamp^lampdesk*+desk^lampdesk*&category=&price=-&limit=20"),
            ("lamp-desk", "q=lamp~lampdesk*+desk~lampdesk*&category=&price=-&limit=20"),
            ("Café", "q=cafe&category=&price=-&limit=20"),
            ("Re\u{301}sume\u{301}", "q=resume&category=&price=-&limit=20"),
            ("red t-shirt", "q=red+t~tshirt*+shirt~tshirt*&category=&price=-&limit=20"),
            ("t shirt, red", "q=shirt~tshirt+t~tshirt+red&category=&price=-&limit=20"),
            ("케이스", "q=케이스~케이스&category=&price=-&limit=20"),
            ("C++ c", "q=c+++c&category=&price=-&limit=20"),
            ("保护壳 Case", "q=保护壳+case&category=&price=-&limit=20"),
            ("name:lamp AND (oak*)~2^3", "q=2+and+lamp+name+oak+3&category=&price=-&limit=20"),
        ] {
            assert_eq!(search(q).to_string(), key, "{q:?}");
        }
        let filter = Filter { category: Some(3), min_price: None, max_price: Some(5_000) };
        assert_eq!(Search { filter, ..search("lamp") }.to_string(), "q=lamp&category=3&price=-5000&limit=20");
    }

    #[test]
    fn partial_match_has_half_of_the_units_of_a_query() {
        for (q, expected) in [
            ("", None),
            ("lamp", None),
            ("the lamp", None),
            ("保护", None),
            ("red lamp", Some((2, 1))),
            ("red oak lamp", Some((3, 2))),
            ("手机壳", Some((2, 1))),
            ("手机手机壳", Some((3, 2))),
            ("手机壳 red", Some((3, 2))),
            ("壳 red", Some((2, 1))),
            // One pair of these letters is not a word.
            ("カラス", Some((2, 2))),
            ("コーヒー豆", Some((4, 2))),
        ] {
            let units = QueryTerms::parse(q).units();
            let counted = units.map(|units| (units.words.iter().filter(|(_, counts)| *counts).count(), units.fewest));
            assert_eq!(counted, expected, "{q:?}");
        }
    }

    #[test]
    fn page_carries_the_tags_of_texts_that_could_enter_it() {
        let priced = |q: &str| Search { filter: Filter { min_price: Some(1), ..Filter::default() }, ..search(q) };
        let category = |q: &str| Search { filter: Filter { category: Some(3), ..Filter::default() }, ..search(q) };
        for (search, reach, expected) in [
            (search(""), TextReach::EveryWord, vec!["page:any", "in:any"]),
            (search("!"), TextReach::EveryWord, vec!["page:any"]),
            (category(""), TextReach::EveryWord, vec!["page:any", "in:any"]),
            (search("the lampshades of oak"), TextReach::EveryWord, vec!["page:any", "word:lam"]),
            (search("of dying"), TextReach::EveryWord, vec!["page:any", "word:die", "word:dyi"]),
            (search("la"), TextReach::EveryWord, vec!["page:any", "word:la"]),
            (category("desk"), TextReach::EveryWord, vec!["page:any", "word:des"]),
            (search("lapm"), TextReach::AnyText, vec!["page:any", "typo:any"]),
            (priced("desk"), TextReach::EveryWord, vec!["page:any", "word:des", "priced-word:des"]),
            (priced(""), TextReach::EveryWord, vec!["page:any", "in:any", "priced-in:any"]),
            (search("red cup of ices"), TextReach::AnyUnit, vec!["page:any", "word:cup", "word:ice", "word:red"]),
            (search("手机壳 red"), TextReach::AnyUnit, vec!["page:any", "word:red", "word:手机", "word:机壳"]),
            (search("壳 red"), TextReach::AnyUnit, vec!["page:any", "word:red", "word:壳"]),
            (search("Résumé"), TextReach::EveryWord, vec!["page:any", "word:res"]),
            (search("t-shirt"), TextReach::EveryWord, vec!["page:any", "word:shi", "word:tsh"]),
            (search("t shirt red"), TextReach::EveryWord, vec!["page:any", "word:shi", "word:tsh"]),
            (search("智能手机保护壳"), TextReach::EveryWord, vec!["page:any", "word:智能"]),
            (search("케이스"), TextReach::EveryWord, vec!["page:any", "word:케이", "word:케이스"]),
            (search("壳"), TextReach::EveryWord, vec!["page:any", "word:壳"]),
            (search("C++"), TextReach::EveryWord, vec!["page:any", "word:c++"]),
        ] {
            assert_eq!(tags(&search, reach), expected, "{search}");
        }
    }
}
