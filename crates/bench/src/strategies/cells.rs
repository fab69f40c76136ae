//! The cells and rows of tables.

use std::fmt::Write as _;

use client::report::thousands;

use super::case_figures::{Pooled, Sample, Spread};
use super::latency::Latency;

/// One phase: its figure of all rounds together, and that of one round.
type Phase = (&'static str, fn(&Pooled) -> Option<&Latency>, fn(&Sample) -> Option<&Latency>);
pub(super) const PHASES: [Phase; 3] = [
    ("hit", |it| it.hit.as_ref(), |it| it.hit.as_ref()),
    ("miss", |it| it.miss.as_ref(), |it| it.miss.as_ref()),
    ("write", |it| it.write.as_ref(), |it| it.write.as_ref()),
];

/// Returns the Markdown of a plot for light and for dark pages of GitHub.
pub(super) fn picture(folder: &str, name: &str, alt: &str) -> String {
    format!(
        "<picture>\n  <source media=\"(prefers-color-scheme: dark)\" srcset=\"{folder}{name}-dark.svg\">\n  \
         <img alt=\"{alt}\" src=\"{folder}{name}-light.svg\">\n</picture>\n\n"
    )
}

/// Adds the row of a case.
pub(super) fn row<const N: usize>(text: &mut String, name: &str, cells: [Option<String>; N]) {
    let _ = write!(text, "| {} ", called(name));
    for cell in cells {
        let _ = write!(text, "| {} ", cell.unwrap_or_else(|| "–".to_owned()));
    }
    text.push_str("|\n");
}

/// Returns the name of a case in Markdown.
pub(super) fn called(name: &str) -> String {
    match name {
        "constant" => "*no store at all*".to_owned(),
        "get" => "*bare `GET`*".to_owned(),
        "no cache" => "*no cache*".to_owned(),
        "naive" => "*naive cache-aside*".to_owned(),
        lane => format!("**{lane}**"),
    }
}

/// Formats a share, or the numbers themselves if they are small.
pub(super) fn share_of_stale((stale, reads): (u64, u64)) -> String {
    let share = stale as f64 / reads.max(1) as f64;
    match stale {
        0 => "0".to_owned(),
        _ if share < 0.001 => format!("{} of {}", thousands(stale), thousands(reads)),
        _ => format!("{:.1} %", 100.0 * share),
    }
}

/// Formats a percentage; never 0 or 100 for a value that is only close to it.
pub(super) fn percent(share: f64) -> String {
    let rounded = (100.0 * share).round();
    let whole = (rounded == 0.0 || rounded == 100.0) && share != 0.0 && share != 1.0;
    if whole { format!("{:.1} %", 100.0 * share) } else { format!("{rounded:.0} %") }
}

/// Formats milliseconds, or seconds for large values; never 0 for a time above zero.
pub(super) fn time(ms: f64) -> String {
    match ms {
        ms if ms >= 1_000.0 => format!("{:.1} s", ms / 1e3),
        ms if ms >= 10.0 => format!("{ms:.0} ms"),
        ms if ms >= 1.0 => format!("{ms:.1} ms"),
        ms if ms >= 0.01 => format!("{ms:.2} ms"),
        _ => "< 0.01 ms".to_owned(),
    }
}

/// Formats `0.33 (0.30–0.41)`.
pub(super) fn show(spread: Option<Spread>, digits: usize) -> String {
    let Some(Spread { median, min, max }) = spread else { return "–".to_owned() };
    format!("{median:.digits$} ({min:.digits$}–{max:.digits$})")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nonzero_figure_is_never_shown_as_zero() {
        assert_eq!(share_of_stale((2, 14_470)), "2 of 14,470");
        assert_eq!(share_of_stale((0, 14_470)), "0");
        assert_eq!(share_of_stale((4_000, 14_470)), "27.6 %");
        assert_eq!([0.001, 0.04, 1.04, 45.2, 9_510.0].map(time), ["< 0.01 ms", "0.04 ms", "1.0 ms", "45 ms", "9.5 s"]);
        assert_eq!([0.0, 0.002, 0.5, 0.998].map(percent), ["0 %", "0.2 %", "50 %", "99.8 %"]);
    }
}
