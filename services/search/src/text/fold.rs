//! Folding of characters for comparison: normalised (NFKC), in lower case, without accents that people leave out.
//!
//! The text is folded cluster by cluster; a cluster is a character with the marks that follow it. So composed and
//! decomposed forms of a text have the same letters, and each letter keeps the range of bytes that it came from.
//!
//! Marks of Latin, Greek, Cyrillic, Arabic and Hebrew letters are removed, because people leave them out. Marks of all
//! other scripts stay: in Hindi, Thai or Japanese they are vowels and consonants.
//!
//! Digits of all scripts become those of ASCII, and letters that an Arabic and a Persian keyboard write differently become
//! one letter.

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
            // Normalisation begins a fraction with a digit, which would belong to the number before it: `1½` is not 11/2.
            let follows_number = letters.last().is_some_and(|last: &Letter| last.char.is_ascii_digit());
            if follows_number && is_fraction(first) {
                letters.push(Letter { char: ' ', bytes: bytes.clone() });
            }
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
    let separate = |c: char| {
        // Normalisation turns each of these signs into letters, which would belong to the word beside it.
        let signs = match c {
            '™' | '℠' => [Some(' '), None, None],
            '№' => [Some(' '), Some(c), Some(' ')],
            c => [Some(c), None, None],
        };
        signs.into_iter().flatten()
    };
    let visible = cluster.chars().filter(|c| !is_invisible(*c)).flat_map(separate);
    visible.nfkd().flat_map(char::to_lowercase).map(usual).filter(is_kept).nfc()
}

/// Returns the usual form of a letter, a digit or a sign that has several with the same meaning.
fn usual(c: char) -> char {
    match c {
        'ς' => 'σ',
        // Persian keyboards write other letters than Arabic ones, and many people leave out the dots at the end of a word.
        'ی' | 'ى' => 'ي',
        'ک' => 'ك',
        'ة' => 'ه',
        // The Arabic decimal and thousands separators.
        '\u{66b}' => '.',
        '\u{66c}' => ',',
        c if c.is_ascii() || !c.is_numeric() => c,
        c => digit(c).unwrap_or(c),
    }
}

/// Returns the ASCII digit for a decimal digit of another script.
fn digit(c: char) -> Option<char> {
    let zero = ZEROS.iter().rev().find(|zero| **zero <= c)?;
    char::from_digit(u32::from(c) - u32::from(*zero), 10)
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

/// Returns whether `c` is a fraction such as `½`.
fn is_fraction(c: char) -> bool {
    matches!(c, '\u{bc}'..='\u{be}' | '\u{2150}'..='\u{215f}' | '\u{2189}')
}

/// The digit zero of each script that has decimal digits of its own, in order. The other nine follow it (Unicode, general
/// category Nd). Normalisation replaces the digits that are not in this list, such as full-width ones.
const ZEROS: [char; 68] = [
    '\u{660}', '\u{6f0}', '\u{7c0}', '\u{966}', '\u{9e6}', '\u{a66}', '\u{ae6}', '\u{b66}', '\u{be6}', '\u{c66}',
    '\u{ce6}', '\u{d66}', '\u{de6}', '\u{e50}', '\u{ed0}', '\u{f20}', '\u{1040}', '\u{1090}', '\u{17e0}', '\u{1810}',
    '\u{1946}', '\u{19d0}', '\u{1a80}', '\u{1a90}', '\u{1b50}', '\u{1bb0}', '\u{1c40}', '\u{1c50}', '\u{a620}',
    '\u{a8d0}', '\u{a900}', '\u{a9d0}', '\u{a9f0}', '\u{aa50}', '\u{abf0}', '\u{104a0}', '\u{10d30}', '\u{10d40}',
    '\u{11066}', '\u{110f0}', '\u{11136}', '\u{111d0}', '\u{112f0}', '\u{11450}', '\u{114d0}', '\u{11650}',
    '\u{116c0}', '\u{116d0}', '\u{116da}', '\u{11730}', '\u{118e0}', '\u{11950}', '\u{11bf0}', '\u{11c50}',
    '\u{11d50}', '\u{11da0}', '\u{11de0}', '\u{11f50}', '\u{16130}', '\u{16a60}', '\u{16ac0}', '\u{16b50}',
    '\u{16d70}', '\u{1e140}', '\u{1e2f0}', '\u{1e4f0}', '\u{1e5f1}', '\u{1e950}',
];

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
            ("کتابی", "كتابي"),
            ("مستشفى", "مستشفي"),
            ("مدرسة", "مدرسه"),
            ("١٥", "15"),
            ("۱۵", "15"),
            ("१५", "15"),
            ("๑๕", "15"),
            ("\u{1d7cf}５", "15"),
            ("١٬٥٠٠٫٥", "1,500.5"),
            ("№5", " no 5"),
            ("1½", "1 1\u{2044}2"),
            ("١½", "1 1\u{2044}2"),
            ("a½", "a1\u{2044}2"),
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
