//! Colours and line breaks.

/// The maximum width of a line.
pub(crate) const WIDTH: usize = 100;

/// A colour of the terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Colour {
    Plain,
    Bold,
    Dim,
    Red,
    Green,
    Yellow,
    Blue,
    Magenta,
}

/// Colours text, or returns it unchanged.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Paint {
    /// Whether colours are wanted.
    pub on: bool,
}

impl Paint {
    /// Returns `text` in `colour`.
    pub(crate) fn colour(self, colour: Colour, text: &str) -> String {
        let code = match colour {
            Colour::Plain => return text.to_owned(),
            Colour::Bold => "1",
            Colour::Dim => "2",
            Colour::Red => "1;31",
            Colour::Green => "32",
            Colour::Yellow => "33",
            Colour::Blue => "36",
            Colour::Magenta => "35",
        };
        if self.on && !text.is_empty() { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    /// Returns `text` in bold.
    pub(crate) fn bold(self, text: &str) -> String {
        self.colour(Colour::Bold, text)
    }

    /// Returns `text` dimmed.
    pub(crate) fn dim(self, text: &str) -> String {
        self.colour(Colour::Dim, text)
    }
}

/// Breaks `text` between words into lines of at most `width` characters. A longer word gets a line of its own. Text
/// that fits on one line is not changed.
pub(crate) fn wrap(text: &str, width: usize) -> Vec<String> {
    if text.chars().count() <= width {
        return vec![text.to_owned()];
    }
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let line = lines.last().map_or(0, |line| line.chars().count());
        if line > 0 && line + 1 + word.chars().count() > width {
            lines.push(String::new());
        }
        if let Some(line) = lines.last_mut() {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_break_between_words() {
        assert_eq!(wrap("one two three", 7), ["one two", "three"]);
        assert_eq!(wrap("incomprehensible x", 5), ["incomprehensible", "x"]);
        assert_eq!(wrap("", 5), [""]);
    }

    #[test]
    fn text_is_unchanged_without_colours() {
        assert_eq!(Paint { on: false }.bold("x"), "x");
        assert_eq!(Paint { on: true }.bold("x"), "\x1b[1mx\x1b[0m");
    }
}
