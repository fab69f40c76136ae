//! What reports have in common: numbers for people, progress, and what was measured when.

use std::process::{Command, ExitCode, Stdio};

use anyhow::Result;
use indicatif::{ProgressBar, ProgressFinish, ProgressStyle};

/// Formats a number with commas: `1,234,567`.
pub fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let groups: Vec<&str> =
        digits.as_bytes().rchunks(3).rev().filter_map(|group| std::str::from_utf8(group).ok()).collect();
    groups.join(",")
}

/// Returns a progress bar on the terminal, if there is one. It is cleared when it is dropped.
pub fn progress_bar(length: u64, template: &str) -> ProgressBar {
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(length).with_style(style).with_finish(ProgressFinish::AndClear)
}

/// Returns the date, in UTC.
pub fn today() -> String {
    first_line("date", &["-u", "+%F"])
}

/// Returns the checked-out commit of the working directory.
pub fn commit() -> String {
    first_line("git", &["describe", "--always", "--dirty"])
}

/// Returns the first line of a program's output, or "unknown" if the program cannot be run.
pub fn first_line(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).stderr(Stdio::null()).output();
    let text = output.ok().and_then(|output| String::from_utf8(output.stdout).ok()).unwrap_or_default();
    text.lines().next().filter(|line| !line.is_empty()).unwrap_or("unknown").to_owned()
}

/// Prints an error with its causes on one line, after the name of the program. Returns the program's exit code.
pub fn exit_code(program: &str, done: Result<()>) -> ExitCode {
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{program}: {error:#}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_grouped_by_three() {
        assert_eq!([0, 999, 14_470, 5_123_456].map(thousands), ["0", "999", "14,470", "5,123,456"]);
    }
}
