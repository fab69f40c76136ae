//! Splitting of folded text into pieces.
//!
//! | in the text | pieces |
//! |---|---|
//! | `Oak Lamps` | `oak`, `lamps` |
//! | `C++`, `C#` | `c++` with the sign, and `c` |
//! | `.NET` | `.net`, and `net` |
//! | `ASP.NET` | `asp`, `.net`, `net` |
//! | `AT&T`, `AT & T` | `at&t`, and `at`, `t` |
//! | `Wi-Fi`, `wi fi` | `wifi` joined, and `wi`, `fi`; see `join.rs` |
//! | `智能手机` | one run: a script without spaces is not split into words |
//! | `스마트폰케이스` | the word, and the same letters as a run: Korean writes compounds as one word |
//! | `10,000`, `哈利·波特` | as without the sign |
//! | `3.0`, `1,5`, `3.5mm` | `3.0`, `1.5` and `3.5mm` with the point, and `3`, `0` and so on |
//!
//! A text has all of these pieces. A query has only the whole ones: `C++` does not search for `c`.

use std::ops::Range;

use unicode_normalization::char::is_combining_mark;
use unicode_script::{Script, UnicodeScript};

use super::fold::{self, Letter};

/// The maximum length of a word, in characters. A longer word is cut, in a text as in a query. A query has at most 200
/// characters.
pub(super) const LONGEST: usize = 256;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) kind: Kind,
    pub(super) text: String,
    /// The range of its letters.
    pub(super) letters: Range<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Letters and digits.
    Word,
    /// A word with its signs, or words that a sign joins.
    Signed,
    /// Like `Signed`, but a query searches for the words without the sign instead.
    Inner,
    /// Separate words, written as one.
    Joined,
    /// Like `Joined`, of two longer words.
    Pair,
    /// Letters of a script without spaces.
    Run,
    /// The Korean letters of a word, as a run.
    Compound,
}

/// Returns the folded characters of `text`, without the signs that only divide a number or a name: others write it without
/// them.
pub(super) fn letters(text: &str) -> Vec<Letter> {
    let letters = fold::letters(text);
    let text = Text(&letters);
    let mut group_begins = None;
    let mut divides = |at: usize| match text.char(at) {
        ',' => {
            let divides = text.divides_thousands(at, group_begins);
            group_begins = divides.then_some(at + 1);
            divides
        }
        '·' | '・' | '‧' => {
            let before = at.checked_sub(1).is_some_and(|before| text.class(before) == Class::Unspaced);
            before && text.class(at + 1) == Class::Unspaced
        }
        _ => false,
    };
    let kept: Vec<bool> = (0..letters.len()).map(|at| !divides(at)).collect();
    letters.into_iter().zip(kept).filter_map(|(letter, is_kept)| is_kept.then_some(letter)).collect()
}

/// Returns the pieces of a text by their beginnings, the longer first.
pub(super) fn pieces(letters: &[Letter]) -> Vec<Piece> {
    let text = Text(letters);
    let mut pieces = Vec::new();
    let mut at = 0;
    while at < letters.len() {
        match text.class(at) {
            Class::Sign => at += 1,
            class => {
                let end = (at..letters.len()).find(|place| text.class(*place) != class).unwrap_or(letters.len());
                if class == Class::Unspaced {
                    pieces.push(text.piece(Kind::Run, at..end));
                } else {
                    pieces.extend(text.word(at..end));
                }
                at = end;
            }
        }
    }
    pieces
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    Sign,
    Spaced,
    Unspaced,
}

fn class(c: char) -> Class {
    if c.is_ascii() {
        return if c.is_ascii_alphanumeric() { Class::Spaced } else { Class::Sign };
    }
    // Unicode counts this apostrophe as a letter.
    if (!c.is_alphanumeric() && !is_combining_mark(c)) || c == '\u{2bc}' {
        return Class::Sign;
    }
    match c.script() {
        Script::Han | Script::Hiragana | Script::Katakana => Class::Unspaced,
        Script::Thai | Script::Lao | Script::Khmer | Script::Myanmar => Class::Unspaced,
        // The marks of long and voiced vowels belong to two scripts.
        _ if matches!(c, 'ー' | '\u{3099}' | '\u{309a}') => Class::Unspaced,
        _ => Class::Spaced,
    }
}

pub(super) struct Text<'a>(pub(super) &'a [Letter]);

impl Text<'_> {
    pub(super) fn char(&self, at: usize) -> char {
        self.0.get(at).map_or(' ', |letter| letter.char)
    }

    pub(super) fn class(&self, at: usize) -> Class {
        class(self.char(at))
    }

    /// Returns whether the comma at `at` is one of `10,000,000`: up to three digits before it, and three after it.
    /// `group_begins` is the place after the comma before it, if that one is such a comma. A number does not begin with zero,
    /// so the comma of `0,500` is a decimal point.
    fn divides_thousands(&self, at: usize, group_begins: Option<usize>) -> bool {
        let digits = |count: usize| (1..=count).take_while(|step| self.char(at + step).is_ascii_digit()).count();
        let before = (0..at).rev().take(4).take_while(|place| self.char(*place).is_ascii_digit()).count();
        let begins_with_zero = self.char(at - before) == '0' && group_begins != Some(at - before);
        (1..=3).contains(&before) && !begins_with_zero && digits(4) == 3
    }

    /// Returns whether the sign at `at` is the point of a decimal number. A number with two such signs is a date, a version
    /// or a list.
    fn is_decimal_point(&self, at: usize) -> bool {
        let is_digit = |place: usize| self.char(place).is_ascii_digit();
        let divides = |sign: usize| {
            matches!(self.char(sign), '.' | ',') && is_digit(sign + 1) && sign.checked_sub(1).is_some_and(is_digit)
        };
        let after = (at + 1..).find(|place| !is_digit(*place)).unwrap_or(at);
        let before = (0..at).rev().find(|place| !is_digit(*place));
        divides(at) && !divides(after) && !before.is_some_and(divides)
    }

    /// Returns whether these letters are the part of a number after its decimal point.
    fn is_fraction(&self, part: &Range<usize>) -> bool {
        part.start.checked_sub(1).is_some_and(|point| self.is_decimal_point(point))
    }

    /// Returns the word that begins at `start`. A decimal number is one word, with its unit: `3.5mm`.
    pub(super) fn word_at(&self, start: usize) -> Option<Range<usize>> {
        let end_of = |part: usize| (part..).find(|place| self.class(*place) != Class::Spaced).unwrap_or(part);
        let end = end_of(start);
        let whole = if self.is_decimal_point(end) { end_of(end + 1) } else { end };
        (end > start).then_some(start..whole)
    }

    /// Returns the characters of a word. A decimal point is the same as a decimal comma.
    pub(super) fn chars(&self, word: Range<usize>) -> impl Iterator<Item = char> {
        word.map(|at| self.char(at)).map(|c| if c == ',' { '.' } else { c })
    }

    fn piece(&self, kind: Kind, letters: Range<usize>) -> Piece {
        let chars = self.chars(letters.clone());
        let text =
            if matches!(kind, Kind::Run | Kind::Compound) { chars.collect() } else { chars.take(LONGEST).collect() };
        Piece { kind, text, letters }
    }

    /// Returns the word that begins with the letters of `part`: with its signs, with the words that a sign joins to it, and
    /// alone, followed by its parts. The part after a decimal point is only itself.
    fn word(&self, part: Range<usize>) -> Vec<Piece> {
        let alone = self.piece(Kind::Word, part.clone());
        let Some(at) = self.word_at(part.start).filter(|_| !self.is_fraction(&part)) else { return vec![alone] };
        let before = self.dot_before(&at).map(|kind| self.piece(kind, at.start - 1..at.end));
        let after = self.signs_after(at.end).map(|end| self.piece(Kind::Signed, at.start..end));
        let decimal = (at != part).then(|| self.piece(Kind::Signed, at.clone()));
        let pieces = before.into_iter().chain(self.joined(&at)).chain(self.joins(&at)).chain(after).chain(decimal);
        pieces.chain([alone]).chain(self.compounds(part)).collect()
    }

    /// Returns the series of Korean letters in a word. One letter is no series: it is rarely a word within another.
    fn compounds(&self, word: Range<usize>) -> impl Iterator<Item = Piece> {
        let is_korean = |at: &usize| self.char(*at).script() == Script::Hangul;
        let mut rest = word.clone();
        let series = std::iter::from_fn(move || {
            let start = rest.find(is_korean)?;
            let end = (start..word.end).find(|at| !is_korean(at)).unwrap_or(word.end);
            rest = end..word.end;
            Some(start..end)
        });
        series.filter(|letters| letters.len() > 1).map(|letters| self.piece(Kind::Compound, letters))
    }

    /// Returns the kind of a word with a dot before it: `.net`, but not `…net` or `.5`.
    fn dot_before(&self, at: &Range<usize>) -> Option<Kind> {
        let dot = at.start.checked_sub(1).filter(|dot| self.char(*dot) == '.')?;
        let before = dot.checked_sub(1);
        if !self.char(at.start).is_alphabetic() || before.is_some_and(|before| self.char(before) == '.') {
            return None;
        }
        match before.map(|before| self.class(before)) {
            Some(Class::Spaced) => Some(Kind::Inner),
            _ => Some(Kind::Signed),
        }
    }

    /// Returns the end of `c++` or `c#`: one or two signs that do not join two words as in `wifi+usb`.
    fn signs_after(&self, end: usize) -> Option<usize> {
        let signs = (end..).take_while(|place| matches!(self.char(*place), '+' | '#')).take(3).count();
        let joins = signs == 1 && self.class(end + 1) == Class::Spaced;
        ((1..=2).contains(&signs) && !joins).then_some(end + signs)
    }

    /// Returns the word with the words that `&` joins to it, with or without spaces. A chain begins only at its first
    /// word.
    fn joined(&self, at: &Range<usize>) -> Option<Piece> {
        if self.is_joined_to_the_one_before(at.start) {
            return None;
        }
        let (mut end, mut spaced, mut text) = (at.end, false, self.piece(Kind::Word, at.clone()).text);
        while let Some(next) = self.after_ampersand(end).and_then(|next| self.word_at(next)) {
            spaced |= next.start > end + 1;
            text.push('&');
            text.extend(self.chars(next.clone()));
            end = next.end;
        }
        let kind = if spaced { Kind::Inner } else { Kind::Signed };
        let text = text.chars().take(LONGEST).collect();
        (end > at.end).then_some(Piece { kind, text, letters: at.start..end })
    }

    /// Returns the beginning of the word that an `&` after `end` joins.
    fn after_ampersand(&self, end: usize) -> Option<usize> {
        let sign = end + usize::from(self.char(end) == ' ');
        let next = sign + 1 + usize::from(self.char(sign + 1) == ' ');
        (self.char(sign) == '&' && self.class(next) == Class::Spaced).then_some(next)
    }

    fn is_joined_to_the_one_before(&self, start: usize) -> bool {
        let space = |at: usize| usize::from(at.checked_sub(1).is_some_and(|before| self.char(before) == ' '));
        let sign = start - space(start);
        let Some(sign) = sign.checked_sub(1).filter(|sign| self.char(*sign) == '&') else { return false };
        let end = sign - space(sign);
        end.checked_sub(1).is_some_and(|last| self.class(last) == Class::Spaced)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(text: &str) -> String {
        let sign = |kind| match kind {
            Kind::Word => "",
            Kind::Signed => "!",
            Kind::Inner => "?",
            Kind::Joined => "=",
            Kind::Pair => "*",
            Kind::Run => "~",
            Kind::Compound => "^",
        };
        let pieces = pieces(&letters(text)).into_iter();
        pieces.map(|piece| format!("{}{}", piece.text, sign(piece.kind))).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn signs_of_a_name_make_a_separate_piece() {
        for (text, expected) in [
            ("Oak, Lamps!", "oak lamps"),
            ("C++", "c++! c"),
            ("C# C#入門", "c#! c c#! c 入門~"),
            ("c+++", "c"),
            ("C++11", "c++! c 11"),
            ("wifi+usb wifi + usb", "wifi usb wifi usb"),
            (".NET", ".net! net"),
            ("ASP.NET", "aspnet= asp .net? net"),
            ("Wi-Fi, wi fi", "wifi= wi fi wifi= wi fi"),
            ("AX-47-C", "ax47c= ax47= ax 47c= 47 c"),
            ("women’s t shirt", "womens= women s tshirt= t shirt"),
            ("USB-C cable", "usbc= usb c cable"),
            ("3.5 1/2 5 10 -4 a lamp", "3.5! 3 5 1 2 5 10 4 a lamp"),
            ("10,000 mAh; 10000mAh", "10000mah= 10000 mah 10000mah"),
            ("3.5 mm; 3,5mm", "3.5mm= 3.5! 3 5 mm 3.5mm! 3 5mm"),
            ("USB 3.0, USB3.0", "usb3.0* usb 3.0! 3 0 usb3.0! usb3 0"),
            ("1.2.3 36,37,38 1. 5", "1 2 3 36 37 38 1 5"),
            ("1,000,000 2,050,000 0,000,000", "1000000 2050000 0 000 000"),
            ("1,234,567 1234,567 1,2345 1,23", "1234567 1234.567! 1234 567 1.2345! 1 2345 1.23! 1 23"),
            ("1,234.50 0,500 10,000", "1234.50! 1234 50 0.500! 0 500 10000"),
            ("power bank case, 100 volts", "powerbank* power bankcase* bank case 100volts* 100 volts"),
            ("哈利·波特 スマート・フォン a·b", "哈利波特~ スマートフォン~ ab= a b"),
            ("2026-11", "202611= 2026 11"),
            ("x c++ -t- c# y", "x c++! c t c#! c y"),
            ("The end...next .5", "the end next 5"),
            ("AT&T", "at&t! at t"),
            ("AT & T", "at&t? at t"),
            ("a&b&c d", "a&b&c! a b c d"),
            ("& && a &", "a"),
            ("a& b", "a&b? a b"),
            ("+plain -thing", "plain thing"),
            ("智能手机 iPhone保护壳", "智能手机~ iphone 保护壳~"),
            ("コーヒー豆", "コーヒー豆~"),
            ("กาแฟเย็น 5", "กาแฟเย็น~ 5"),
            ("हिन्दी", "हिन्दी"),
            ("스마트폰케이스, LG전자3인치, 컵", "스마트폰케이스 스마트폰케이스^ lg전자3인치 전자^ 인치^ 컵"),
            ("", ""),
        ] {
            assert_eq!(split(text), expected, "{text}");
        }
    }

    /// Each comma is examined once, however many others are before it.
    #[test]
    fn text_of_digits_and_commas_is_split_in_one_pass() {
        for part in [",", "000,", "1,000,"] {
            assert!(pieces(&letters(&part.repeat(50_000))).len() <= 150_000);
        }
    }

    #[test]
    fn long_word_is_cut_but_not_left_out() {
        assert_eq!(split(&"x".repeat(1_000)), "x".repeat(LONGEST));
        assert_eq!(split(&"7".repeat(200)), "7".repeat(200));
    }
}
