//! The output of a demo: one line per read, write and inspection of Redis, aligned so that differences stand out.

use std::io::{IsTerminal, stdout};
use std::time::Duration;

use client::times::human;
use client::{Entry, Source};
use contract::StrategyInfo;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::claim::{Assertion, Assertions, Verdict};
use crate::product_api::Answer;

/// The column in which continuation lines begin.
const INDENT: usize = 10;
/// The widths of the columns of the last screen.
const STRATEGY: usize = 12;
const CLAIM: usize = 45;
const FIGURE: usize = 33;

/// Prints to standard output.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Printer {
    paint: Paint,
    is_live: bool,
}

/// The progress bar of a step that takes a while.
#[derive(Debug)]
pub(crate) struct Wait(ProgressBar);

impl Printer {
    /// Creates a printer. Colours and progress bars need a terminal; `plain` disables them even there.
    pub(crate) fn new(plain: bool, colourless: bool) -> Self {
        let terminal = stdout().is_terminal();
        Self { paint: Paint { on: terminal && !plain && !colourless }, is_live: terminal && !plain }
    }

    /// Prints the head of a demo: the number, the name and the summary of its strategy.
    pub(crate) fn title(&self, strategy: &StrategyInfo) {
        let head = format!("{} · {} ", strategy.number, strategy.name);
        let rule = "─".repeat(WIDTH.saturating_sub(head.chars().count()));
        println!("\n{}{}", self.paint.bold(&head), self.paint.dim(&rule));
        for line in wrap(strategy.summary(), WIDTH) {
            println!("{line}");
        }
    }

    /// Prints what the demo does next.
    pub(crate) fn step(&self, text: &str) {
        println!();
        for line in wrap(text, WIDTH - 2) {
            println!("  {}", self.paint.bold(&line));
        }
    }

    /// Prints a remark on what was just shown.
    pub(crate) fn note(&self, text: &str) {
        self.labelled("", Colour::Dim, text);
    }

    /// Prints a read and its response.
    pub(crate) fn read(&self, answer: &Answer, note: &str) {
        self.request("read", answer, note);
    }

    /// Prints a write and its effect on the cache.
    pub(crate) fn write(&self, answer: &Answer, note: &str) {
        self.request("write", answer, note);
    }

    /// Prints the entry in Redis under `key`.
    pub(crate) fn redis(&self, key: &str, entry: Option<&Entry>) {
        let Some(entry) = entry else { return self.labelled("redis", Colour::Plain, &format!("{key:<23} no entry")) };
        let seconds = |ms: u64| format!("{:.1}", ms as f64 / 1000.0);
        let version = entry.version.map_or("-".to_owned(), |version| format!("v{version}"));
        let (left, hard) =
            (seconds(entry.expires_in_ms.max(0).unsigned_abs()), entry.hard_ttl_ms.map_or(String::new(), seconds));
        let soft = entry.soft_ttl_ms.filter(|soft| Some(*soft) != entry.hard_ttl_ms);
        let soft = soft.map_or(String::new(), |soft| format!(", soft {}", seconds(soft)));
        let tags = if entry.tags.is_empty() { "no tags".to_owned() } else { entry.tags.join(" ") };
        let text = format!("{key:<23} {version:<3} {:<5} {left:>5} of {hard} s left{soft}  {tags}", entry.state);
        self.labelled("redis", Colour::Plain, &text);
    }

    /// Prints what `redis-cli GET` shows of an entry: its header, with a shortened id.
    pub(crate) fn raw(&self, header: &str) {
        let (id, rest) = header.split_once(' ').unwrap_or((header, ""));
        let id: String = id.chars().take(9).collect();
        self.labelled("GET", Colour::Plain, &format!("{id}… {rest}"));
    }

    /// Prints a claim and whether it is true.
    pub(crate) fn claim(&self, claim: &Assertion) {
        let text =
            if claim.figure.is_empty() { claim.text.clone() } else { format!("{} · {}", claim.text, claim.figure) };
        match &claim.verdict {
            Verdict::Holds => self.labelled("ok", Colour::Green, &text),
            Verdict::False { expected, seen } => {
                self.labelled("FALSE", Colour::Red, &text);
                self.labelled("", Colour::Red, &format!("expected {expected}"));
                self.labelled("", Colour::Red, &format!("saw {seen}"));
            }
        }
    }

    /// Prints the last screen: every claim, the measured figure, and whether the claim is true.
    pub(crate) fn table(&self, claims: &Assertions) {
        let head = format!("{:<STRATEGY$} {:<CLAIM$} {:<FIGURE$} verdict", "strategy", "claim", "measured");
        println!("\n{}", self.paint.bold(&head));
        let mut strategy = "";
        for claim in claims.all() {
            if claim.strategy != strategy {
                println!("{}", self.paint.dim(&"─".repeat(head.chars().count())));
            }
            let (texts, figures) = (wrap(&claim.text, CLAIM), wrap(&claim.figure, FIGURE));
            for row in 0..texts.len().max(figures.len()) {
                let cell = |lines: &[String]| lines.get(row).cloned().unwrap_or_default();
                let name = if row == 0 && claim.strategy != strategy { claim.strategy } else { "" };
                let verdict = match (&claim.verdict, row) {
                    (Verdict::Holds, 0) => self.paint.colour(Colour::Green, "ok"),
                    (Verdict::False { .. }, 0) => self.paint.colour(Colour::Red, "FALSE"),
                    _ => String::new(),
                };
                let line = format!("{name:<STRATEGY$} {:<CLAIM$} {:<FIGURE$} {verdict}", cell(&texts), cell(&figures));
                println!("{}", line.trim_end());
            }
            strategy = claim.strategy;
        }
        println!();
    }

    /// Prints what the demo shows, and what the strategy costs.
    pub(crate) fn lesson(&self, shows: &str, costs: &str) {
        println!();
        self.labelled("shows", Colour::Bold, shows);
        self.labelled("costs", Colour::Bold, costs);
    }

    /// Prints `text` under `label`, wrapped.
    pub(crate) fn labelled(&self, label: &str, colour: Colour, text: &str) {
        for (number, line) in wrap(text, WIDTH - INDENT).into_iter().enumerate() {
            let label = if number == 0 { label } else { "" };
            let text = if colour == Colour::Dim { self.paint.dim(&line) } else { line };
            println!("  {} {text}", self.paint.colour(colour, &format!("{label:<7}")));
        }
    }

    /// Shows a progress bar for a wait of `total`, with its reason.
    pub(crate) fn wait(&self, why: &str, total: Duration) -> Wait {
        let said = format!("{why}, {:.1} s", total.as_secs_f64());
        self.progress(&said, total.as_millis() as u64)
    }

    /// Shows a progress bar for `what`, with `steps` steps.
    pub(crate) fn progress(&self, what: &str, steps: u64) -> Wait {
        if !self.is_live {
            self.labelled("wait", Colour::Plain, what);
            return Wait(ProgressBar::hidden());
        }
        let bar = ProgressBar::with_draw_target(Some(steps), ProgressDrawTarget::stdout());
        if let Ok(style) = ProgressStyle::with_template("  wait    {bar:30} {msg}") {
            bar.set_style(style);
        }
        bar.set_message(what.to_owned());
        Wait(bar)
    }

    fn request(&self, what: &str, answer: &Answer, note: &str) {
        let version = answer.version.map_or(String::new(), |version| format!("v{version}"));
        let (ms, header) = (human(answer.ms), &answer.cache_status);
        let source = format!("{:<9}", answer.source);
        let line = |source: &str, note: &str| {
            format!("  {what:<7} {version:<6} {source} {ms:>9}   {header:<43} {note}").trim_end().to_owned()
        };
        let fits = line(&source, note).chars().count() <= WIDTH;
        println!("{}", line(&self.paint.colour(colour_of(answer.source), &source), if fits { note } else { "" }));
        if !fits {
            self.note(note);
        }
    }
}

fn colour_of(source: Source) -> Colour {
    match source {
        Source::Hit | Source::Near => Colour::Green,
        Source::Stale => Colour::Yellow,
        Source::Miss | Source::Collapsed => Colour::Blue,
        Source::Bypass => Colour::Magenta,
        Source::Uncached => Colour::Plain,
    }
}

impl Wait {
    /// Updates the bar: `passed` of the time is over.
    pub(crate) fn at(&self, passed: Duration, state: String) {
        self.step(passed.as_millis() as u64, state);
    }

    /// Updates the bar: `done` steps are done.
    pub(crate) fn step(&self, done: u64, state: String) {
        self.0.set_position(done);
        self.0.set_message(state);
    }

    /// Removes the bar, so that the following output takes its place.
    pub(crate) fn over(self) {
        self.0.finish_and_clear();
    }
}

/// The maximum width of a line.
pub(crate) const WIDTH: usize = 100;

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
