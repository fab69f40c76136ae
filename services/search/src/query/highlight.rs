//! What of a text is shown, and what of that is bold. The result is HTML: everything from the text is escaped, and `<b>`
//! is all that is added.

use std::collections::BTreeMap;

use tantivy::Score;
use tantivy::schema::Field;
use tantivy::snippet::SnippetGenerator;

use super::build::{is_nearly, tolerance};
use super::cursor::Likeness;
use super::search::About;
use crate::text;

/// Characters of a description that are shown.
const SNIPPET: usize = 160;

/// What is looked for in a text.
pub struct Highlight<'a> {
    /// The words of the query.
    pub about: &'a About,
    /// How they were compared.
    pub likeness: Likeness,
}

impl Highlight<'_> {
    /// All of `name`.
    pub fn whole(&self, name: &str) -> String {
        self.best_of(name, usize::MAX).unwrap_or_else(|| escaped(name))
    }

    /// The part of `description` that has most of the words; its beginning when it has none.
    pub fn snippet(&self, description: &str) -> String {
        self.best_of(description, SNIPPET).unwrap_or_else(|| {
            let cut = description.char_indices().nth(SNIPPET).map(|(end, _)| &description[..end]);
            match cut {
                None => escaped(description),
                // Not in the middle of a word, where there is a gap to cut at.
                Some(cut) => escaped(cut.rsplit_once(char::is_whitespace).map_or(cut, |(whole, _)| whole)) + "…",
            }
        })
    }

    fn best_of(&self, text: &str, chars: usize) -> Option<String> {
        let About::Words(asked) = self.about else { return None };
        let words = text::words(text);
        let found = words.into_iter().filter(|word| {
            asked.iter().enumerate().any(|(place, (asked_for, _))| {
                asked_for.stem == word.stem
                    || (place + 1 == asked.len() && word.word.starts_with(&asked_for.word))
                    || (self.likeness == Likeness::Typo
                        && is_nearly(&asked_for.word, &word.word, tolerance(&asked_for.word)))
            })
        });
        let found: BTreeMap<String, Score> = found.map(|word| (word.word, 1.0)).collect();
        if found.is_empty() {
            return None;
        }
        // The field matters only for documents; this is given a text.
        let field = Field::from_field_id(0);
        let snippet = SnippetGenerator::new(found, text::analyzer(), field, chars).snippet(text);
        let cut = snippet.fragment().len() < text.trim_end().len();
        let html = snippet.to_html();
        Some(html).filter(|html| !html.is_empty()).map(|html| if cut { framed(&snippet, text, html) } else { html })
    }
}

fn framed(snippet: &tantivy::snippet::Snippet, text: &str, html: String) -> String {
    let range = snippet.fragment_range();
    let before = if text[..range.start].trim().is_empty() { "" } else { "…" };
    let after = if text[range.end..].trim().is_empty() { "" } else { "…" };
    // What ends a sentence is no word, so the fragment may have left it behind.
    format!("{before}{}{after}", html.trim())
}

/// Text as HTML.
pub fn escaped(text: &str) -> String {
    let mut html = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '"' => html.push_str("&quot;"),
            '\'' => html.push_str("&#x27;"),
            c => html.push(c),
        }
    }
    html
}
