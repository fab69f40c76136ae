//! A finished run.

use serde::Serialize;

use super::stats::SubjectStats;

/// A finished run.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The date of the run.
    pub date: String,
    /// The checked-out commit of the working directory.
    pub commit: String,
    /// The subjects.
    pub subjects: Vec<SubjectStats>,
    /// The number of reads that the options asked for.
    pub wanted_reads: u64,
    /// Whether responses say where they came from.
    pub says_source: bool,
    /// How long the run read and wrote, in seconds.
    pub seconds: f64,
    /// The part of that time in which all subjects took part; after it, the subjects that promise never to be stale ran
    /// alone.
    pub together_seconds: f64,
    /// The checker's share of the CPU time that was used on this machine during the run.
    pub own_cpu_share: f64,
    /// Whether the run ended early because promises were broken.
    pub ended_early: bool,
}

impl Report {
    /// Returns the number of broken promises of all subjects.
    pub fn broken(&self) -> u64 {
        self.subjects.iter().map(SubjectStats::broken).sum()
    }

    /// Returns the number of reads of the subjects that promise never to be stale; of all subjects, if none does.
    pub fn counted_reads(&self) -> u64 {
        let none = self.subjects.iter().all(|subject| subject.promise_ms > 0.0);
        let counted = self.subjects.iter().filter(|subject| none || subject.promise_ms == 0.0);
        counted.map(|subject| subject.reads).sum()
    }
}
