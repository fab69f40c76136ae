//! Folding of characters for comparison: normalised (NFKC), in lower case, without accents that people leave out.
//!
//! The text is folded cluster by cluster; a cluster is a character with the marks that follow it. So composed and
//! decomposed forms of a text have the same letters, and each letter keeps the range of bytes that it came from.
//!
//! Marks of Latin, Greek, Cyrillic, Arabic and Hebrew letters are removed, because people leave them out. Marks of all
//! other scripts stay: in Hindi, Thai or Japanese they are vowels and consonants.

use std::ops::Range;

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;
use unicode_script::{Script, UnicodeScript};

/// A folded character, and the bytes of the text that it came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Letter {
    pub(super) char: char,
    pub(super) bytes: Range<usize>,
}

/// Returns the folded characters of `text` in order, including signs and spaces.
pub(super) fn letters(text: &str) -> Vec<Letter> {
    let mut letters = Vec::with_capacity(text.len());
    let mut cluster = String::new();
    let mut chars = text.char_indices().peekable();
    while let Some((start, first)) = chars.next() {
        cluster.clear();
        cluster.push(first);
        while let Some((_, mark)) = chars.next_if(|(_, next)| extends(*next)) {
            cluster.push(mark);
        }
        let bytes = start..start + cluster.len();
        if cluster.len() == 1 {
            letters.push(Letter { char: first.to_ascii_lowercase(), bytes });
        } else {
            letters.extend(fold(&cluster).map(|char| Letter { char, bytes: bytes.clone() }));
        }
    }
    letters
}

fn fold(cluster: &str) -> impl Iterator<Item = char> {
    let mut base = None;
    let is_kept = move |c: &char| {
        if is_combining_mark(*c) {
            return is_letter_of(base, *c);
        }
        base = Some(*c);
        true
    };
    let visible = cluster.chars().filter(|c| !is_invisible(*c)).map(|c| if is_trade_mark(c) { ' ' } else { c });
    visible.nfkd().flat_map(char::to_lowercase).map(|c| if c == 'ς' { 'σ' } else { c }).filter(is_kept).nfc()
}

/// Returns whether `c` belongs to the same cluster as the character before it.
fn extends(c: char) -> bool {
    match c {
        '\0'..='\u{7f}' => false,
        // Vowels and final consonants of decomposed Korean, and the voice marks of half-width Japanese.
        '\u{1160}'..='\u{11ff}' | '\u{ff9e}' | '\u{ff9f}' => true,
        c => is_combining_mark(c) || is_invisible(c),
    }
}

/// Returns whether `mark` turns `base` into another letter.
fn is_letter_of(base: Option<char>, mark: char) -> bool {
    match base.unwrap_or(mark).script() {
        // The breve turns и into й, which is another letter. Most people write ё as е.
        Script::Cyrillic => mark == '\u{306}',
        Script::Latin | Script::Greek | Script::Arabic | Script::Hebrew | Script::Common | Script::Inherited => false,
        _ => true,
    }
}

/// Returns whether `c` is invisible within a word: soft hyphens, joiners, line break opportunities, directions,
/// variation selectors, fillers, and the Arabic tatweel.
fn is_invisible(c: char) -> bool {
    matches!(
        c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{640}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{ffa0}' | '\u{feff}' | '\u{fe00}'..='\u{fe0f}' | '\u{e0100}'..='\u{e01ef}'
    )
}

/// Returns whether `c` is a sign that normalisation would turn into the letters "TM" or "SM" at the end of a name.
fn is_trade_mark(c: char) -> bool {
    matches!(c, '™' | '℠')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folded(text: &str) -> String {
        letters(text).into_iter().map(|letter| letter.char).collect()
    }

    #[test]
    fn equivalent_forms_of_a_text_fold_to_the_same_letters() {
        for (one, other) in [
            ("Résumé", "Re\u{301}sume\u{301}"),
            ("RÉSUMÉ", "resume"),
            ("Ἀθῆναι", "αθηναι"),
            ("ΟΔΟΣ", "οδος"),
            ("Ёлка", "елка"),
            ("Ｃ＋＋", "c++"),
            ("ﬁne", "fine"),
            ("ガラス", "カ\u{3099}ラス"),
            ("ガラス", "ｶﾞﾗｽ"),
            ("한국", "\u{1112}\u{1161}\u{11ab}\u{1100}\u{116e}\u{11a8}"),
            ("İstanbul", "istanbul"),
            ("soft\u{ad}hyphen", "softhyphen"),
            ("line\u{200b}break", "linebreak"),
            ("\u{202e}right\u{2069}", "right"),
            ("fil\u{3164}ler", "filler"),
            ("كِتَاب", "كتاب"),
            ("เก\u{e49}\u{e32}", "เก\u{e49}\u{e32}"),
            ("น้ำ", "น\u{e49}\u{e4d}\u{e32}"),
        ] {
            assert_eq!(folded(one), folded(other), "{one} {other}");
        }
    }

    #[test]
    fn folding_keeps_marks_that_make_another_letter() {
        for (one, other) in [("हिन्दी", "हनद"), ("ที่", "ท"), ("ガ", "カ"), ("мой", "мои"), ("கி", "க")]
        {
            assert_ne!(folded(one), folded(other), "{one} {other}");
        }
        assert_eq!(folded("Sony™ TV"), "sony  tv");
    }

    #[test]
    fn folded_letters_know_their_bytes_in_the_text() {
        let text = "xe\u{301}ﬁ";
        let places: Vec<_> = letters(text).into_iter().map(|letter| (letter.char, &text[letter.bytes])).collect();
        assert_eq!(places, [('x', "x"), ('e', "e\u{301}"), ('f', "ﬁ"), ('i', "ﬁ")]);
    }
}
