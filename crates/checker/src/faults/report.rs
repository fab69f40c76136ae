//! The outcome of each fault, for people and for programs, and whether every promise held.

use std::path::{Path, PathBuf};
use std::{fmt, fs};

use anyhow::{Context, Result};
use serde::Serialize;
use testkit::private_system::Service;

use super::allowed::is_by_time;
use super::edits::Ledger;
use crate::system::Comparison;
use crate::verify::{SubjectStats, Table};

/// A figure of an outcome, with its name.
type Column = (&'static str, fn(&Outcome) -> String);
const COLUMNS: [Column; 18] = [
    ("ready, ms", |it| format!("{:.0}", it.ready_ms)),
    ("reads recovered, ms", |it| format!("{:.0}", it.recovered_ms)),
    ("writes recovered, ms", |it| format!("{:.0}", it.writes_recovered_ms)),
    ("settled, ms", |it| format!("{:.0}", it.settled_ms)),
    ("reads", |it| it.reads.to_string()),
    ("failed", |it| it.failed_reads.to_string()),
    ("writes", |it| it.writes.to_string()),
    ("longest write, ms", |it| format!("{:.0}", it.longest_write_ms)),
    ("deferred", |it| it.deferred.to_string()),
    ("unanswered", |it| it.failed_writes.to_string()),
    ("edits in SQL", |it| it.edits_in_sql.to_string()),
    ("edits over HTTP", |it| it.edits_over_http.to_string()),
    ("stale", |it| it.broken.to_string()),
    ("lost", |it| it.lost_writes.to_string()),
    ("compared", |it| it.compared.to_string()),
    ("from a cache", |it| it.hits.iter().sum::<u32>().to_string()),
    ("of these absent", |it| it.absent.to_string()),
    ("longest allowed staleness, ms", |it| format!("{:.0}", it.longest_allowed_ms)),
];

const EXPLANATION: &str = "
Ready, recovered: from the end of the fault, just before what is broken is started again, until every service says that it
is ready; until no read failed or went past its cache, and no write failed or put its invalidation off. Longest write: of
the acknowledged ones through the first process of the product API. Settled: every event
was relayed and carried out, from the end of the load. Stale: reads that showed what an acknowledged write had replaced,
where the strategy promises that there are none, and other broken promises.
";

/// The outcome of one fault.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Outcome {
    /// The name of the fault.
    pub fault: String,
    /// Milliseconds from the end of the fault until every service reported that it is ready. The fault ends just before
    /// the broken component is started again.
    pub ready_ms: f64,
    /// Milliseconds from the end of the fault until the last read that failed or bypassed its cache.
    pub recovered_ms: f64,
    /// Milliseconds from the end of the fault until the last write that failed or deferred its invalidation.
    pub writes_recovered_ms: f64,
    /// Milliseconds from the end of the load until every event was relayed and applied.
    pub settled_ms: f64,
    /// Products that were read.
    pub reads: u64,
    /// Reads without a usable response.
    pub failed_reads: u64,
    /// Whether no request may fail, because only Redis was unavailable.
    pub must_not_fail: bool,
    /// Acknowledged writes.
    pub writes: u64,
    /// The longest time of an acknowledged write through a cache that promises never to be stale, at the first process, in
    /// milliseconds.
    pub longest_write_ms: f64,
    /// Writes whose invalidation was deferred.
    pub deferred: u64,
    /// Writes without a usable response.
    pub failed_writes: u64,
    /// Acknowledged edits in SQL during the load.
    pub edits_in_sql: u64,
    /// Acknowledged edits of products, categories and carts over HTTP during the load.
    pub edits_over_http: u64,
    /// Edits that were refused or got no response.
    pub unconfirmed_edits: u64,
    /// How often each component was killed at random.
    pub kills: Vec<(&'static str, u32)>,
    /// Stale reads of subjects that promise none, and other broken promises.
    pub broken: u64,
    /// The longest staleness of a subject whose promise allows some, except ttl and swr, in milliseconds.
    pub longest_allowed_ms: f64,
    /// Acknowledged writes that are not in the database.
    pub lost_writes: u64,
    /// Lines of carts that were compared with those that the recommendation service knows.
    pub lines: usize,
    /// Responses that were compared with a fresh load.
    pub compared: u32,
    /// How many of them came from the cache of each service, in the order of [`Service::ALL`].
    pub hits: [u32; 4],
    /// How many of these said that the object does not exist.
    pub absent: u32,
    /// What is wrong, in words.
    pub wrong: Vec<String>,
    /// The figures of each subject.
    pub subjects: Vec<SubjectStats>,
}

/// All faults of a run.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    /// The target, for people.
    pub target: String,
    /// The kind of target: private, native or docker.
    pub kind: String,
    /// The outcomes of the faults.
    pub outcomes: Vec<Outcome>,
    /// What is wrong with the run itself.
    pub wrong: Vec<String>,
}

impl Outcome {
    /// Records an error and returns `None`, so that the caller can continue.
    pub(super) fn note<T>(&mut self, what: &str, outcome: Result<T>) -> Option<T> {
        outcome.map_err(|error| self.wrong.push(format!("{what}: {error:#}"))).ok()
    }

    pub(super) fn count(&mut self, subjects: Vec<SubjectStats>) {
        let sum = |field: fn(&SubjectStats) -> u64| subjects.iter().map(field).sum();
        (self.reads, self.failed_reads) = (sum(|stats| stats.reads), sum(|stats| stats.failed_reads));
        (self.writes, self.failed_writes) = (sum(|stats| stats.writes), sum(|stats| stats.failed_writes));
        (self.deferred, self.broken) = (sum(|stats| stats.deferred), sum(SubjectStats::broken));
        let allowed = subjects.iter().filter(|it| it.promise_ms > 0.0 && !is_by_time(&it.subject));
        self.longest_allowed_ms = allowed.map(SubjectStats::max_staleness_ms).fold(0.0, f64::max);
        let strict = subjects.iter().filter(|it| it.promise_ms == 0.0);
        self.longest_write_ms = strict.map(|it| it.longest_write_ms).fold(0.0, f64::max);
        self.subjects = subjects;
    }

    pub(super) fn count_edits(&mut self, ledger: &Ledger) {
        (self.edits_in_sql, self.edits_over_http) = (ledger.in_sql, ledger.over_http);
        self.unconfirmed_edits = ledger.unconfirmed;
    }

    pub(super) fn compared(&mut self, comparison: Comparison) {
        (self.compared, self.hits, self.absent) = (comparison.compared, comparison.hits, comparison.absent);
        self.wrong.extend(comparison.wrong);
    }

    /// Returns whether every promise held and the outcome proves something.
    pub fn holds(&self) -> bool {
        self.verdict().is_empty()
    }

    /// Returns every broken promise, and everything that makes the outcome prove nothing.
    pub fn verdict(&self) -> Vec<String> {
        let mut verdict = Vec::new();
        let mut unless = |holds: bool, wrong: String| {
            if !holds {
                verdict.push(wrong);
            }
        };
        unless(self.broken == 0, format!("{} promises were broken", self.broken));
        unless(self.lost_writes == 0, format!("{} acknowledged writes are lost", self.lost_writes));
        let failed = self.failed_reads + self.failed_writes;
        unless(
            !self.must_not_fail || failed == 0,
            format!("{} reads and {} writes failed though only Redis was away", self.failed_reads, self.failed_writes),
        );
        unless(self.reads > 0 && self.writes > 0, "nothing was read, or no write was acknowledged".to_owned());
        unless(self.edits_in_sql > 0, "no edit in SQL was acknowledged".to_owned());
        unless(self.edits_over_http > 0, "no edit over HTTP was acknowledged".to_owned());
        unless(self.lines > 0, "no cart has a line".to_owned());
        for (service, hits) in Service::ALL.into_iter().zip(self.hits) {
            unless(hits > 0, format!("no answer came from the cache of {}: comparing proves nothing", service.name()));
        }
        unless(self.absent > 0, "no cache held that there is no such thing".to_owned());
        verdict.extend(self.wrong.iter().cloned());
        verdict
    }

    /// Returns the latest failed operations and the first broken promises, as a help to find the reason.
    fn details(&self) -> Vec<String> {
        let failed = self.subjects.iter().filter(|stats| self.must_not_fail && stats.failure.is_some());
        let failed = failed.map(|stats| format!("{}: {}", stats.subject, stats.failure.as_deref().unwrap_or_default()));
        let broken = self.subjects.iter().flat_map(|stats| stats.violations.iter().take(2));
        failed.chain(broken.map(ToString::to_string)).collect()
    }
}

impl Report {
    /// Writes `faults-KIND.json` and `faults-KIND.md`, and returns the path of the latter.
    pub fn save(&self, folder: &Path) -> Result<PathBuf> {
        fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
        let file = folder.join(format!("faults-{}.md", self.kind));
        fs::write(file.with_extension("json"), serde_json::to_vec_pretty(self)?)?;
        fs::write(&file, self.markdown())?;
        Ok(file)
    }

    fn markdown(&self) -> String {
        let row = |it: &Outcome| -> Vec<String> {
            let held = if it.holds() { "yes" } else { "**no**" };
            [it.fault.clone(), held.to_owned()].into_iter().chain(COLUMNS.map(|(_, value)| value(it))).collect()
        };
        let head = ["fault", "held"].into_iter().chain(COLUMNS.map(|(head, _)| head)).map(str::to_owned).collect();
        let table = Table { left: 2, head, rows: self.outcomes.iter().map(row).collect() };
        let mut text = format!("# Faults under load, on {}\n\n{}{EXPLANATION}", self.target, table.markdown());
        for it in self.outcomes.iter().filter(|it| !it.holds()) {
            text.push_str(&format!("\n## {}\n\n", it.fault));
            it.verdict().into_iter().chain(it.details()).for_each(|wrong| text.push_str(&format!("* {wrong}\n")));
        }
        self.wrong.iter().for_each(|wrong| text.push_str(&format!("\n**{wrong}**\n")));
        text
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let figures = COLUMNS.map(|(head, value)| format!("{head} {}", value(self)));
        write!(f, "{:<32} {}", self.fault, figures.join(" · "))?;
        if !self.kills.is_empty() {
            let kills: Vec<_> = self.kills.iter().map(|(component, times)| format!("{component} {times}")).collect();
            write!(f, "\n  kill -9: {} · {} edits refused", kills.join(", "), self.unconfirmed_edits)?;
        }
        if !self.holds() {
            write!(f, "\n  WRONG")?;
            for wrong in self.verdict().into_iter().chain(self.details()) {
                write!(f, "\n  {wrong}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Spoil = fn(&mut Outcome);

    fn good() -> Outcome {
        let mut outcome = Outcome { must_not_fail: true, reads: 9, writes: 9, lines: 1, ..Outcome::default() };
        (outcome.edits_in_sql, outcome.edits_over_http) = (1, 1);
        (outcome.hits, outcome.absent) = ([1; 4], 1);
        outcome
    }

    #[test]
    fn outcome_holds_only_with_kept_promises_and_enough_evidence() {
        assert_eq!(good().verdict(), Vec::<String>::new());
        let spoilt: [(&str, Spoil); 12] = [
            ("a broken promise", |it| it.broken = 1),
            ("a lost write", |it| it.lost_writes = 1),
            ("a failed read", |it| it.failed_reads = 1),
            ("a failed write", |it| it.failed_writes = 1),
            ("no reads", |it| it.reads = 0),
            ("no writes", |it| it.writes = 0),
            ("no edit in SQL", |it| it.edits_in_sql = 0),
            ("no edit over HTTP", |it| it.edits_over_http = 0),
            ("no line in a cart", |it| it.lines = 0),
            ("a service without a hit", |it| it.hits[3] = 0),
            ("nothing absent", |it| it.absent = 0),
            ("an error on the way", |it| it.wrong.push("making it: no".to_owned())),
        ];
        for (what, spoil) in spoilt {
            let mut outcome = good();
            spoil(&mut outcome);
            assert!(!outcome.holds(), "{what}");
        }
    }

    #[test]
    fn failures_count_only_when_requests_must_not_fail() {
        let mut outcome = good();
        (outcome.must_not_fail, outcome.failed_reads, outcome.failed_writes) = (false, 3, 3);
        assert!(outcome.holds());
    }
}
