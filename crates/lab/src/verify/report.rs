//! What the checker says in the end: a table for people, JSON with the raw histograms for programs.

use std::fmt;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde::Serialize;

use super::tally::Tally;

/// A finished run.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The subjects.
    pub subjects: Vec<Tally>,
    /// How long it read and wrote, in seconds.
    pub seconds: f64,
    /// The share of the CPU time that was used on this machine meanwhile which the checker itself used.
    pub own_cpu_share: f64,
    /// Whether it ended early because promises were broken.
    pub ended_early: bool,
}

impl Report {
    /// Promises that were broken, over all subjects.
    pub fn broken(&self) -> u64 {
        self.subjects.iter().map(Tally::broken).sum()
    }

    /// Reads of the subjects that promise never to be stale.
    pub fn strict_reads(&self) -> u64 {
        self.subjects.iter().filter(|subject| subject.promise_ms == 0.0).map(|subject| subject.reads).sum()
    }

    /// Writes `verify.json` and `verify.md`.
    pub fn save(&self, folder: &Path) -> Result<()> {
        fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
        fs::write(folder.join("verify.json"), serde_json::to_vec_pretty(self)?)?;
        fs::write(folder.join("verify.md"), format!("# What the checker found\n\n{}\n", self.markdown()))?;
        Ok(())
    }

    fn markdown(&self) -> String {
        let mut table = String::from(
            "| subject | promise | reads | hits | writes | stale reads | share, 95 % | staleness p50 / p99 / max, ms | longest window, ms | broken |\n|---|---|---:|---:|---:|---:|---|---|---:|---:|\n",
        );
        for tally in &self.subjects {
            let [name, promise, reads, hits, writes, stale, share, staleness, window, broken] = cells(tally);
            table.push_str(&format!(
                "| {name} | {promise} | {reads} | {hits} | {writes} | {stale} | {share} | {staleness} | {window} | {broken} |\n"
            ));
        }
        table
    }
}

/// One line of the table.
fn cells(tally: &Tally) -> [String; 10] {
    let staleness = match tally.stale {
        0 => "–".to_owned(),
        _ => format!(
            "{:.1} / {:.1} / {:.1}",
            tally.staleness_ms(0.5),
            tally.staleness_ms(0.99),
            tally.max_staleness_ms()
        ),
    };
    [
        tally.subject.clone(),
        if tally.promise_ms == 0.0 { "never stale".to_owned() } else { format!("≤ {} s", tally.promise_ms / 1e3) },
        thousands(tally.reads),
        format!("{:.1} %", 100.0 * tally.hits as f64 / tally.reads.max(1) as f64),
        thousands(tally.writes),
        thousands(tally.stale),
        format!("≤ {}", percent(tally.stale_share_at_most())),
        staleness,
        if tally.stale == 0 { "–".to_owned() } else { format!("{:.1}", tally.longest_window_ms) },
        tally.broken().to_string(),
    ]
}

/// With as many digits as tell something.
fn percent(share: f64) -> String {
    let percent = 100.0 * share;
    match percent {
        percent if percent >= 1.0 => format!("{percent:.1} %"),
        percent if percent >= 0.01 => format!("{percent:.3} %"),
        percent => format!("{percent:.6} %"),
    }
}

/// `1 234 567`
fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let groups: Vec<&str> =
        digits.as_bytes().rchunks(3).rev().filter_map(|group| std::str::from_utf8(group).ok()).collect();
    groups.join(" ")
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let head = [
            "subject",
            "promise",
            "reads",
            "hits",
            "writes",
            "stale",
            "share, 95 %",
            "p50 / p99 / max ms",
            "window ms",
            "broken",
        ];
        let rows: Vec<[String; 10]> =
            std::iter::once(head.map(str::to_owned)).chain(self.subjects.iter().map(cells)).collect();
        let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
        for row in &rows {
            for (column, cell) in row.iter().enumerate() {
                let width = width(column);
                if column < 2 { write!(f, "{cell:<width$}  ")? } else { write!(f, "{cell:>width$}  ")? }
            }
            writeln!(f)?;
        }
        for tally in &self.subjects {
            if tally.failed_reads + tally.failed_writes + tally.deferred > 0 {
                writeln!(
                    f,
                    "{}: {} reads and {} writes without a useful answer, {} deferred invalidations",
                    tally.subject, tally.failed_reads, tally.failed_writes, tally.deferred
                )?;
            }
            if let Some(failure) = &tally.failure {
                writeln!(f, "  the last of them: {failure}")?;
            }
            let faults: Vec<_> = tally.faults.iter().map(|(fault, times)| format!("{times} × {fault:?}")).collect();
            if !faults.is_empty() {
                writeln!(f, "{}: {}", tally.subject, faults.join(", "))?;
            }
            for violation in tally.violations.iter().take(3) {
                writeln!(f, "  {violation}")?;
            }
        }
        let own = 100.0 * self.own_cpu_share;
        write!(f, "{:.0} s; the checker itself used {own:.0} % of the CPU time spent on this machine", self.seconds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_easy_to_read() {
        assert_eq!([0, 999, 1_000, 5_123_456].map(thousands), ["0", "999", "1 000", "5 123 456"]);
        assert_eq!(percent(3.0 / 5e6), "0.000060 %");
        assert_eq!(percent(0.123), "12.3 %");
    }
}
