//! What is asked for, in its normal form: two queries that mean the same have the same page in the cache.
//!
//! Words are in small letters and without accents, each once; all but the last are in alphabetical order, because their
//! order means nothing. The last word stays last: it may be unfinished, and matches by its beginning too.

use std::fmt;

use cache::Tag;

use super::cursor::Cursor;
use crate::keys::{self, Made};
use crate::text::{self, Word};

/// A page of results to be found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Search {
    /// What products are to be about.
    pub about: About,
    /// What else must hold.
    pub filter: Filter,
    /// How many results make a page.
    pub limit: usize,
    /// Behind which result the page begins.
    pub cursor: Option<Cursor>,
}

/// What products are to be about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum About {
    /// Nothing was asked: the whole catalogue, by id.
    Anything,
    /// Something was asked that has no letter or digit in it.
    Nothing,
    /// These words, in normal order. Those marked `false` carry no meaning and may be missing.
    Words(Vec<(Word, bool)>),
}

/// What must hold beside the words.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// The category that a product is in.
    pub category: Option<i64>,
    /// The least price.
    pub min_price: Option<i64>,
    /// The greatest price.
    pub max_price: Option<i64>,
}

impl About {
    /// Reads a query as it was typed.
    pub fn parse(q: &str) -> Self {
        let mut words = text::words(q);
        let Some(last) = words.pop() else {
            return if q.trim().is_empty() { Self::Anything } else { Self::Nothing };
        };
        words.retain(|word| word.word != last.word);
        words.sort_unstable();
        words.dedup();
        words.push(last);
        let required = text::required(&words);
        Self::Words(words.into_iter().zip(required).collect())
    }
}

impl Filter {
    /// Whether a product in `category` at `price` passes.
    pub fn passes(&self, category: i64, price: i64) -> bool {
        self.category.is_none_or(|wanted| wanted == category)
            && self.min_price.is_none_or(|least| least <= price)
            && self.max_price.is_none_or(|most| price <= most)
    }

    fn has_price(&self) -> bool {
        self.min_price.is_some() || self.max_price.is_some()
    }
}

impl Search {
    /// The tags of events that can change which products this search finds. `by_typo`: whether it was, or would have
    /// been, content with words that are nearly those.
    pub fn tags(&self, by_typo: bool) -> Vec<Tag> {
        let made = if self.filter.has_price() { &[Made::ByText, Made::ByPrice][..] } else { &[Made::ByText] };
        let mut tags = vec![keys::every_page()];
        for made in made {
            match &self.about {
                About::Nothing => {}
                About::Anything => tags.push(made.within(self.filter.category)),
                About::Words(_) if by_typo => tags.push(made.typo()),
                About::Words(words) => tags.extend(chosen(words).into_iter().map(|beginning| made.word(beginning))),
            }
        }
        tags
    }

    /// The query and the filter without the page: a cursor belongs to one of these.
    pub fn subject(&self) -> String {
        let number = |number: Option<i64>| number.map(|number| number.to_string()).unwrap_or_default();
        let Filter { category, min_price, max_price } = self.filter;
        let words = match &self.about {
            About::Anything => String::new(),
            About::Nothing => "-".to_owned(),
            About::Words(words) => words.iter().map(|(word, _)| word.word.as_str()).collect::<Vec<_>>().join("+"),
        };
        format!("q={words}&category={}&price={}-{}", number(category), number(min_price), number(max_price))
    }
}

/// The page's name in the cache.
impl fmt::Display for Search {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}&limit={}", self.subject(), self.limit)?;
        self.cursor.as_ref().map_or(Ok(()), |cursor| write!(f, "&cursor={cursor}"))
    }
}

/// The beginnings of the longest word that a product must have: no product comes or goes without one that has them. The
/// last word has two: it matches by what it begins with, and by its stem.
fn chosen(words: &[(Word, bool)]) -> Vec<&str> {
    let last = words.len().saturating_sub(1);
    let required = words.iter().enumerate().filter(|(_, (_, required))| *required);
    let Some((place, (word, _))) = required.max_by_key(|(_, (word, _))| word.stem.len()) else { return Vec::new() };
    let mut chosen = vec![text::beginning(&word.stem)];
    if place == last {
        chosen.push(text::beginning(&word.word));
    }
    chosen.dedup();
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;

    fn search(q: &str) -> Search {
        Search { about: About::parse(q), filter: Filter::default(), limit: 20, cursor: None }
    }

    fn tags(search: &Search, by_typo: bool) -> Vec<String> {
        search.tags(by_typo).iter().map(|tag| tag.as_str().to_owned()).collect()
    }

    #[test]
    fn queries_that_mean_the_same_have_the_same_key() {
        for (q, key) in [
            ("", "q=&category=&price=-&limit=20"),
            ("  \t", "q=&category=&price=-&limit=20"),
            ("?!", "q=-&category=&price=-&limit=20"),
            ("Lamp", "q=lamp&category=&price=-&limit=20"),
            ("desk  OAK lamp", "q=desk+oak+lamp&category=&price=-&limit=20"),
            ("oak, desk; Lamp!", "q=desk+oak+lamp&category=&price=-&limit=20"),
            ("lamp oak lamp", "q=oak+lamp&category=&price=-&limit=20"),
            ("lamp desk", "q=lamp+desk&category=&price=-&limit=20"),
            ("Café", "q=cafe&category=&price=-&limit=20"),
            ("name:lamp AND (oak*)~2^3", "q=2+and+lamp+name+oak+3&category=&price=-&limit=20"),
        ] {
            assert_eq!(search(q).to_string(), key, "{q:?}");
        }
        let filter = Filter { category: Some(3), min_price: None, max_price: Some(5_000) };
        assert_eq!(Search { filter, ..search("lamp") }.to_string(), "q=lamp&category=3&price=-5000&limit=20");
    }

    #[test]
    fn a_page_carries_the_tags_of_what_could_enter_it() {
        let priced = |q: &str| Search { filter: Filter { min_price: Some(1), ..Filter::default() }, ..search(q) };
        let category = |q: &str| Search { filter: Filter { category: Some(3), ..Filter::default() }, ..search(q) };
        for (search, by_typo, expected) in [
            (search(""), false, vec!["page:any", "in:any"]),
            (search("!"), false, vec!["page:any"]),
            (category(""), false, vec!["page:any", "in:3"]),
            (search("the lampshades of oak"), false, vec!["page:any", "word:lam"]),
            (search("of dying"), false, vec!["page:any", "word:die", "word:dyi"]),
            (search("la"), false, vec!["page:any", "word:la"]),
            (category("desk"), false, vec!["page:any", "word:des"]),
            (search("lapm"), true, vec!["page:any", "typo:any"]),
            (priced("desk"), false, vec!["page:any", "word:des", "priced-word:des"]),
            (priced(""), false, vec!["page:any", "in:any", "priced-in:any"]),
        ] {
            assert_eq!(tags(&search, by_typo), expected, "{search}");
        }
    }
}
