//! What each fault did, for people and for programs.

use std::fmt;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde::Serialize;

use crate::verify::Tally;

/// One fault, and what it did.
#[derive(Clone, Debug, Serialize)]
pub struct Outcome {
    /// What was done.
    pub fault: String,
    /// From the end of the fault until every service said that it is ready, in milliseconds.
    pub ready_ms: f64,
    /// From the end of the fault until no read failed or had to go past its cache any more, in milliseconds.
    pub recovered_ms: f64,
    /// Until every event was relayed and carried out, in milliseconds; from the end of the load.
    pub settled_ms: f64,
    /// Products that were read.
    pub reads: u64,
    /// Reads without a useful answer.
    pub failed_reads: u64,
    /// Whether there must be none: only Redis was away.
    pub reads_must_not_fail: bool,
    /// Acknowledged writes.
    pub writes: u64,
    /// Writes whose invalidation was deferred.
    pub deferred: u64,
    /// Writes without a useful answer.
    pub failed_writes: u64,
    /// Stale reads where nothing may be stale, and other broken promises.
    pub broken: u64,
    /// The longest that a read was stale where the strategy allows it, except ttl and swr, in milliseconds.
    pub longest_allowed_ms: f64,
    /// Acknowledged writes that are not in the database.
    pub lost_writes: u64,
    /// Answers that were compared with a fresh load, and how many of them came from a cache.
    pub compared: u32,
    /// … from a cache.
    pub hits: u32,
    /// What is wrong, in words.
    pub wrong: Vec<String>,
    /// The figures of each subject.
    pub subjects: Vec<Tally>,
}

/// All faults of a run.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Where: private processes, or the stack of a script.
    pub site: String,
    /// What they did.
    pub outcomes: Vec<Outcome>,
}

impl Outcome {
    /// Whether everything held that must.
    pub fn holds(&self) -> bool {
        let failed = self.reads_must_not_fail && self.failed_reads > 0;
        self.broken == 0 && self.lost_writes == 0 && self.wrong.is_empty() && !failed && self.hits > 0
    }
}

impl Report {
    /// Writes `chaos.json` and `chaos.md`.
    pub fn save(&self, folder: &Path) -> Result<()> {
        fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
        fs::write(folder.join("chaos.json"), serde_json::to_vec_pretty(self)?)?;
        fs::write(folder.join("chaos.md"), self.markdown())?;
        Ok(())
    }

    fn markdown(&self) -> String {
        let mut text = format!(
            "# Faults under load, {}\n\n| fault | ready after, ms | recovered after, ms | settled after, ms | reads | failed | writes | deferred | unanswered | stale | lost | compared, from a cache | longest allowed staleness, ms |\n|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|\n",
            self.site
        );
        for it in &self.outcomes {
            text.push_str(&format!(
                "| {} | {:.0} | {:.0} | {:.0} | {} | {} | {} | {} | {} | {} | {} | {}, {} | {:.0} |\n",
                it.fault,
                it.ready_ms,
                it.recovered_ms,
                it.settled_ms,
                it.reads,
                it.failed_reads,
                it.writes,
                it.deferred,
                it.failed_writes,
                it.broken,
                it.lost_writes,
                it.compared,
                it.hits,
                it.longest_allowed_ms
            ));
        }
        text.push_str(
            "\nStale: reads that showed what an acknowledged write had replaced, where the strategy promises that there are none, and other broken promises. Recovered: no read failed or went past its cache any more. Settled: every event was relayed and carried out.\n",
        );
        text
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:<32} ready {:>5.0} ms, recovered {:>5.0} ms, settled {:>5.0} ms · {:>7} reads, {:>5} failed · {:>5} writes, {:>4} deferred, {:>3} unanswered · {} stale, {} lost · {} compared, {} from a cache",
            self.fault,
            self.ready_ms,
            self.recovered_ms,
            self.settled_ms,
            self.reads,
            self.failed_reads,
            self.writes,
            self.deferred,
            self.failed_writes,
            self.broken,
            self.lost_writes,
            self.compared,
            self.hits
        )?;
        if !self.holds() {
            write!(f, "\n  WRONG")?;
            if self.reads_must_not_fail && self.failed_reads > 0 {
                write!(f, "\n  {} reads failed though only Redis was away", self.failed_reads)?;
                for tally in self.subjects.iter().filter(|tally| tally.failed_reads > 0) {
                    let last = tally.failure.as_deref().unwrap_or("");
                    write!(f, "\n    {} of {}, the last failure: {last}", tally.failed_reads, tally.subject)?;
                }
            }
            if self.hits == 0 {
                write!(f, "\n  no answer came from a cache: comparing them proves nothing")?;
            }
            for violation in self.subjects.iter().flat_map(|tally| tally.violations.iter().take(2)) {
                write!(f, "\n  {violation}")?;
            }
            for wrong in &self.wrong {
                write!(f, "\n  {wrong}")?;
            }
        }
        Ok(())
    }
}
