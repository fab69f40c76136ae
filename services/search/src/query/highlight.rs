//! The shown part of a text as HTML, with matches in bold. Everything from the text is escaped, and only `<b>` is
//! added.

use std::ops::Range;

use super::build::{begins, is_nearly, is_within, tolerance, ways};
use super::cursor::MatchMode;
use super::search::QueryTerms;
use crate::text::{self, LocatedWord, QueryWord, Word};

/// The approximate length of a snippet, in bytes.
const SNIPPET: usize = 160;

/// The number of words before the first bold one, when the snippet does not begin at the beginning of the text.
const LEAD: usize = 4;

/// The words that are highlighted in a text.
pub struct Highlight {
    /// The words of the query; its units where partial matches are allowed.
    query_words: Vec<QueryWord>,
    likeness: MatchMode,
}

/// The position of a word in a text, and whether it is bold.
struct TextSpan {
    bytes: Range<usize>,
    bold: bool,
}

impl Highlight {
    /// Creates a highlighter for `about`, which compares words in the mode `likeness`.
    pub fn new(about: &QueryTerms, likeness: MatchMode) -> Self {
        let units = about.units().filter(|_| likeness.is_partial()).map(|units| units.words);
        let words = match about {
            QueryTerms::Words(words) => units.unwrap_or_else(|| words.clone()),
            QueryTerms::Anything | QueryTerms::Nothing => Vec::new(),
        };
        Self { query_words: words.into_iter().map(|(query_word, _)| query_word).collect(), likeness }
    }

    /// Returns the whole `name` as HTML.
    pub fn whole(&self, name: &str) -> String {
        marked(name, 0..name.len(), &self.places(name))
    }

    /// Returns the part of `description` with the most matches, or its beginning when nothing matches.
    pub fn snippet(&self, description: &str) -> String {
        let places = self.places(description);
        let range = best(description, &places);
        let before = if range.start > 0 { "…" } else { "" };
        let after = if range.end < description.len() { "…" } else { "" };
        format!("{before}{}{after}", marked(description, range, &places))
    }

    /// Returns the words of a text without overlaps: a word with signs counts as one where it matches with them.
    fn places(&self, text: &str) -> Vec<TextSpan> {
        let mut places: Vec<TextSpan> = Vec::new();
        for located in text::located_words(text) {
            if located.word.is_run {
                let mut spans = Vec::new();
                self.run(&located, &mut spans);
                let overlaps = places.last().is_some_and(|last| last.bytes.end > located.bytes.start);
                // A Korean word comes before its run. If the word does not match, a part of the run may.
                if overlaps && !places.last().is_some_and(|last| last.bold) && spans.iter().any(|span| span.bold) {
                    places.pop();
                    places.extend(spans);
                } else if !overlaps {
                    places.extend(spans);
                }
                continue;
            }
            let bold = self.is_asked_for(&located.word, located.is_pair);
            if located.is_pair && !bold {
                continue;
            }
            let place = TextSpan { bold, bytes: located.bytes };
            match places.last_mut().filter(|last| last.bytes.end > place.bytes.start) {
                None => places.push(place),
                // The longer word comes first. If it does not match, its parts may.
                Some(last) if !last.bold => *last = place,
                Some(_) => {}
            }
        }
        places
    }

    /// Adds the spans of a run: one for every stretch that matches, and one for every other letter.
    fn run(&self, run: &LocatedWord, places: &mut Vec<TextSpan>) {
        let mut bold = vec![false; run.letters.len()];
        let ways = self.query_words.iter().flat_map(|query_word| ways(query_word, false));
        for word in ways.map(|way| way.word).filter(|word| is_within(word, &run.word)) {
            let length = word.word.chars().count();
            for (at, (start, _)) in run.word.word.char_indices().enumerate() {
                if run.word.word[start..].starts_with(&word.word) {
                    bold[at..at + length].fill(true);
                }
            }
        }
        for (bytes, bold) in run.letters.iter().cloned().zip(bold) {
            match places.last_mut() {
                // Letters of one cluster have the same bytes.
                Some(last) if last.bytes.end > bytes.start => last.bold |= bold,
                Some(last) if last.bytes.end == bytes.start && last.bold && bold => last.bytes.end = bytes.end,
                _ => places.push(TextSpan { bytes, bold }),
            }
        }
    }

    /// Returns whether the query matches the word, by the same rules as `build.rs`.
    fn is_asked_for(&self, word: &Word, is_pair: bool) -> bool {
        let last = self.query_words.len().saturating_sub(1);
        let mut words =
            self.query_words.iter().enumerate().flat_map(|(place, query_word)| ways(query_word, place == last));
        words.any(|way| {
            let has_typo = || {
                let may_have_typo = self.likeness.has_typos() && !way.is_pair;
                may_have_typo && is_nearly(way.word, word, tolerance(way.word))
            };
            (way.word.stem == word.stem && !(is_pair && way.is_pair))
                || (!is_pair && ((way.is_last && begins(way.word, word)) || has_typo()))
        })
    }
}

/// Returns the earliest stretch of at most [`SNIPPET`] bytes, from the beginning of a word to the end of one, with the
/// most bold words.
fn best(text: &str, places: &[TextSpan]) -> Range<usize> {
    if text.len() <= SNIPPET {
        return 0..text.len();
    }
    let (mut best, mut most, mut end, mut bold) = (0..0, 0, 0, 0);
    for (first, place) in places.iter().enumerate() {
        // A stretch has at least one word, however long.
        while end < places.len() && (end <= first || places[end].bytes.end - place.bytes.start <= SNIPPET) {
            bold += usize::from(places[end].bold);
            end += 1;
        }
        if bold > most || best.is_empty() {
            (best, most) = (first..end, bold);
        }
        bold -= usize::from(place.bold);
    }
    // Words before the match give more context than words after it.
    let lead = if places.get(best.start).is_some_and(|place| place.bold) { LEAD.min(best.start) } else { 0 };
    let (first, last) = (best.start - lead, best.end.saturating_sub(1 + lead).max(best.start));
    let start = places.get(first).filter(|_| first > 0).map_or(0, |place| place.bytes.start);
    let end = places.get(last).filter(|_| last + 1 < places.len()).map_or(text.len(), |place| place.bytes.end);
    start..end
}

/// Returns a part of `text` as HTML.
fn marked(text: &str, range: Range<usize>, places: &[TextSpan]) -> String {
    let mut html = String::with_capacity(range.len() + 32);
    let mut done = range.start;
    let bold = places.iter().filter(|place| place.bold).map(|place| &place.bytes);
    for word in bold.filter(|word| word.start >= range.start && word.end <= range.end) {
        escape(&text[done..word.start], &mut html);
        html.push_str("<b>");
        escape(&text[word.clone()], &mut html);
        html.push_str("</b>");
        done = word.end;
    }
    escape(&text[done..range.end], &mut html);
    html
}

fn escape(text: &str, html: &mut String) {
    for c in text.chars() {
        match c {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '"' => html.push_str("&quot;"),
            '\'' => html.push_str("&#39;"),
            c => html.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snippet(q: &str, text: &str) -> String {
        Highlight::new(&QueryTerms::parse(q), MatchMode::Strict).snippet(text)
    }

    #[test]
    fn matches_are_bold_and_all_other_text_is_escaped() {
        assert_eq!(
            snippet("lamps", "A <b>lamp</b> & a \"lamp\"."),
            "A &lt;b&gt;<b>lamp</b>&lt;/b&gt; &amp; a &quot;<b>lamp</b>&quot;."
        );
        assert_eq!(snippet("caf", "Café, CAFETERIA"), "<b>Café</b>, <b>CAFETERIA</b>");
        assert_eq!(snippet("resume", "Re\u{301}sume\u{301}, Résumé"), "<b>Re\u{301}sume\u{301}</b>, <b>Résumé</b>");
        assert_eq!(snippet("c++", "C++, c, C+"), "<b>C++</b>, c, C+");
        assert_eq!(snippet("c", "C++ & ASP.NET"), "<b>C++</b> &amp; ASP.NET");
        assert_eq!(snippet(".net", "ASP.NET"), "ASP<b>.NET</b>");
        assert_eq!(snippet("at&t", "AT&T, at AT & T"), "<b>AT&amp;T</b>, at <b>AT &amp; T</b>");
        assert_eq!(snippet("t", "AT&T"), "AT&amp;<b>T</b>");
        assert_eq!(snippet("wifi", "Wi-Fi, wi fi, Wi-Fi-6"), "<b>Wi-Fi</b>, <b>wi fi</b>, <b>Wi-Fi-6</b>");
        assert_eq!(snippet("powerbank", "A power bank, power"), "A <b>power bank</b>, power");
        assert_eq!(snippet("power bank", "Powerbank, bank"), "<b>Powerbank</b>, <b>bank</b>");
        assert_eq!(snippet("powerb", "A power bank"), "A power bank");
        assert_eq!(snippet("t shirt", "T-Shirt, tshirts, Shirt"), "<b>T-Shirt</b>, <b>tshirts</b>, <b>Shirt</b>");
        assert_eq!(snippet("保护壳", "智能手机保护壳，保护"), "智能手机<b>保护壳</b>，保护");
        assert_eq!(snippet("ガラス", "ｶﾞﾗｽのコップ"), "<b>ｶﾞﾗｽ</b>のコップ");
        assert_eq!(snippet("กาแฟ", "ซื้อกาแฟเย็น"), "ซื้อ<b>กาแฟ</b>เย็น");
        assert_eq!(snippet("케이스", "스마트폰케이스 케이스를"), "스마트폰<b>케이스</b> <b>케이스를</b>");
        assert_eq!(snippet("전자", "LG전자5"), "LG<b>전자</b>5");
        assert_eq!(snippet("", "Nothing & none"), "Nothing &amp; none");
        assert_eq!(snippet("x", ""), "");
    }

    #[test]
    fn partial_match_shows_its_matching_pairs_in_bold() {
        let html = |q: &str, text: &str| Highlight::new(&QueryTerms::parse(q), MatchMode::Partial).whole(text);
        assert_eq!(html("便宜智能手机壳", "智能手机保护壳"), "<b>智能手机</b>保护壳");
        assert_eq!(html("手机护壳 red", "智能手机保护壳 Red"), "智能<b>手机</b>保<b>护壳</b> <b>Red</b>");
    }

    #[test]
    fn snippet_shows_the_part_of_a_long_text_with_most_matches() {
        let text =
            format!("A lamp. {} Here a lamp, there a lamp. {}", "So it goes. ".repeat(30), "The end. ".repeat(30));
        let shown = snippet("lamp", &text);
        assert!(shown.starts_with('…') && shown.ends_with('…'), "{shown}");
        assert!(shown.contains("Here a <b>lamp</b>, there a <b>lamp</b>"), "{shown}");
        let beginning = snippet("zebra", &text);
        assert!(beginning.starts_with("A lamp. So it goes.") && beginning.ends_with('…'), "{beginning}");
    }

    #[test]
    fn snippet_never_cuts_inside_a_character() {
        for text in [
            "ü".repeat(500),
            "日本 ".repeat(200),
            "日本語".repeat(200),
            format!("{} ende", "🦀 ".repeat(100)),
            " ".repeat(400),
        ] {
            for q in ["ende", "日本", "u"] {
                let shown = snippet(q, &text);
                assert!(shown.len() <= 2 * text.len() + 64, "{shown}");
            }
        }
    }
}
