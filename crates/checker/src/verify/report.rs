//! The report of a finished run: tables for people, JSON with the raw histograms for programs.

use std::fmt::{self, Write as _};
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use client::report::thousands;
use serde::Serialize;

use super::stats::SubjectStats;
use super::verdict::{self, Report};

/// How many violations of a subject are shown.
const SHOWN: usize = 3;

impl Report {
    /// Returns what is wrong with the run; empty if the run proves what it should.
    pub fn failures(&self) -> Vec<String> {
        verdict::failures(self)
    }

    /// Writes `verify.json` and `verify.md` to `folder`.
    pub fn save(&self, folder: &Path) -> Result<()> {
        #[derive(Serialize)]
        struct Judged<'a> {
            failures: Vec<String>,
            remarks: Vec<String>,
            #[serde(flatten)]
            report: &'a Report,
        }
        let judged = Judged { failures: self.failures(), remarks: verdict::remarks(self), report: self };
        fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
        fs::write(folder.join("verify.json"), serde_json::to_vec_pretty(&judged)?)?;
        fs::write(folder.join("verify.md"), self.markdown())?;
        Ok(())
    }

    fn markdown(&self) -> String {
        let Self { date, commit, .. } = self;
        let mut text = format!("# What the checker found\n\n{date}, commit {commit}. {}.\n\n", self.course());
        text.push_str(&self.figures().markdown());
        text.push_str("\nThe share is of answers: a page is one, however many products it shows.\n\n## By pattern\n\n");
        text.push_str(&self.patterns().markdown());
        text.push_str("\n## Verdict\n\n");
        for line in self.verdict().into_iter().chain(self.details()) {
            text.push_str(&format!("* {line}\n"));
        }
        text
    }

    /// Describes the course of the run.
    fn course(&self) -> String {
        let Self { seconds, together_seconds, own_cpu_share, .. } = self;
        let own = 100.0 * own_cpu_share;
        format!(
            "{seconds:.0} s, all subjects together for {together_seconds:.0} s of them; the checker itself used {own:.0} % of the CPU time spent on this machine"
        )
    }

    fn verdict(&self) -> Vec<String> {
        let failures = self.failures();
        let mut lines: Vec<String> = failures.iter().map(|failure| format!("FAILED: {failure}")).collect();
        if failures.is_empty() {
            lines.push("passed: every promise was kept, in reads and writes enough to say so".to_owned());
        }
        lines.extend(verdict::remarks(self));
        lines
    }

    /// Returns the failures and violations, by subject.
    fn details(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for SubjectStats { subject, failed_reads, failed_writes, deferred, failure, anomalies, violations, .. } in
            &self.subjects
        {
            if failed_reads + failed_writes + deferred > 0 {
                let failed = format!("{failed_reads} reads and {failed_writes} writes without a useful answer");
                lines.push(format!("{subject}: {failed}, {deferred} deferred invalidations"));
            }
            lines.extend(failure.iter().map(|failure| format!("{subject}, the last failure: {failure}")));
            if !anomalies.is_empty() {
                let anomalies: Vec<_> =
                    anomalies.iter().map(|(anomaly, times)| format!("{times} × {anomaly:?}")).collect();
                lines.push(format!("{subject}: {}", anomalies.join(", ")));
            }
            lines.extend(violations.iter().take(SHOWN).map(|violation| format!("{subject}: {violation}")));
        }
        lines
    }

    fn figures(&self) -> Table {
        let head = [
            "subject", "promise", "reads", "hits", "from memory", "writes", "stale reads", "share, 95 %",
            "staleness p50 / p99 / max, ms", "longest window, ms", "broken",
        ];
        Table { left: 2, head: head.map(str::to_owned).to_vec(), rows: self.subjects.iter().map(figures).collect() }
    }

    /// Returns the table of reads and hit shares by pattern.
    fn patterns(&self) -> Table {
        const ALL: [&str; 5] = ["hot", "zipf", "uniform", "missing", "sweep"];
        let head = ["subject"].into_iter().chain(ALL).chain(["collapsed", "kept by no cache", "flagged"]);
        let row = |stats: &SubjectStats| {
            let cell = |name: &str| match stats.patterns.get(name) {
                Some(figures) => format!("{}, {:.1} %", thousands(figures.reads), 100.0 * figures.hit_share()),
                None => "–".to_owned(),
            };
            let collapsed: u64 = stats.patterns.values().map(|figures| figures.collapsed).sum();
            let mut row = vec![stats.subject.clone()];
            row.extend(ALL.map(cell));
            row.extend([collapsed, stats.unkept, stats.flagged].map(thousands));
            row
        };
        Table { left: 1, head: head.map(str::to_owned).collect(), rows: self.subjects.iter().map(row).collect() }
    }
}

/// Returns one row of the table.
fn figures(stats: &SubjectStats) -> Vec<String> {
    let staleness = match stats.stale {
        0 => "–".to_owned(),
        _ => format!(
            "{:.1} / {:.1} / {:.1}",
            stats.staleness_ms(0.5),
            stats.staleness_ms(0.99),
            stats.max_staleness_ms()
        ),
    };
    vec![
        stats.subject.clone(),
        if stats.promise_ms == 0.0 { "never stale".to_owned() } else { format!("≤ {} s", stats.promise_ms / 1e3) },
        thousands(stats.reads),
        format!("{:.1} %", 100.0 * stats.hit_share()),
        if stats.near == 0 { "–".to_owned() } else { format!("{:.1} %", 100.0 * stats.near_share()) },
        thousands(stats.writes),
        thousands(stats.stale),
        format!("≤ {}", percent(stats.stale_share_at_most())),
        staleness,
        if stats.stale == 0 { "–".to_owned() } else { format!("{:.1}", stats.longest_window_ms) },
        stats.broken().to_string(),
    ]
}

/// Formats a share with as many digits as are significant.
fn percent(share: f64) -> String {
    let percent = 100.0 * share;
    match percent {
        percent if percent >= 1.0 => format!("{percent:.1} %"),
        percent if percent >= 0.01 => format!("{percent:.3} %"),
        percent => format!("{percent:.6} %"),
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\nReads by pattern, and the share of hits:\n{}\n", self.figures(), self.patterns())?;
        for line in self.details() {
            writeln!(f, "{line}")?;
        }
        writeln!(f, "{}", self.course())?;
        write!(f, "{}", self.verdict().join("\n"))
    }
}

/// A header and rows with as many cells. The columns from number `left` on hold numbers.
pub(crate) struct Table {
    pub(crate) left: usize,
    pub(crate) head: Vec<String>,
    pub(crate) rows: Vec<Vec<String>>,
}

impl Table {
    pub(crate) fn markdown(&self) -> String {
        let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
        let rule: Vec<String> =
            (0..self.head.len()).map(|at| if at < self.left { "---" } else { "---:" }.to_owned()).collect();
        [&self.head, &rule].into_iter().chain(&self.rows).map(|cells| line(cells)).collect()
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows = || std::iter::once(&self.head).chain(&self.rows);
        let width = |column: usize| rows().map(|row| row[column].chars().count()).max().unwrap_or(0);
        let widths: Vec<usize> = (0..self.head.len()).map(width).collect();
        for row in rows() {
            let mut line = String::new();
            for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
                if column < self.left { write!(line, "{cell:<width$}  ")? } else { write!(line, "{cell:>width$}  ")? }
            }
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn share_has_as_many_digits_as_are_significant() {
        assert_eq!(percent(3.0 / 5e6), "0.000060 %");
        assert_eq!(percent(0.123), "12.3 %");
    }

    #[test]
    fn names_are_left_aligned_and_numbers_right_aligned() {
        let text = |cells: [&str; 2]| cells.map(str::to_owned).to_vec();
        let rows = vec![text(["explicit", "7"]), text(["ttl", "12 345"])];
        let table = Table { left: 1, head: text(["subject", "reads"]), rows };
        assert_eq!(table.to_string(), "subject    reads\nexplicit       7\nttl       12 345\n");
        assert_eq!(table.markdown(), "| subject | reads |\n| --- | ---: |\n| explicit | 7 |\n| ttl | 12 345 |\n");
    }
}
