//! A finished run, and the verdict on it: the conditions besides kept promises under which the run proves something.
//!
//! A run without reads, without cached responses or with failures only breaks no promise either.

use serde::Serialize;

use super::stats::SubjectStats;

/// The maximum share of the checker in the CPU time. Above it, the checker would measure itself.
const OWN_CPU: f64 = 1.0 / 3.0;

/// The maximum share of hits among reads of missing products. Above it, these reads do not test what they should.
const MISSING_HITS: f64 = 1.0 / 3.0;

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

/// Returns what is wrong with a run; empty if every promise was kept and the run proves something.
pub(super) fn failures(report: &Report) -> Vec<String> {
    let mut failures = Vec::new();
    let broken = report.broken();
    if broken > 0 {
        failures.push(format!("promises were broken {broken} times"));
    } else if report.counted_reads() < report.wanted_reads {
        let (reads, wanted) = (report.counted_reads(), report.wanted_reads);
        failures.push(format!("only {reads} of {wanted} reads were made before the time was over"));
    }
    for stats in &report.subjects {
        let of = |what: &str| format!("{}: {what}", stats.subject);
        if stats.reads == 0 {
            failures.push(of("nothing was read"));
        } else if stats.hits == 0 && report.says_source {
            let last = stats.bypass.as_ref().map(|status| format!("; the last bypass: `{status}`")).unwrap_or_default();
            failures.push(of(&format!("no read came from a cache, so its cache was not checked{last}")));
        }
        if 2 * stats.flagged > stats.reads {
            failures.push(of("most reads were flagged as perhaps outdated, so its promise was hardly checked"));
        }
        if stats.writes == 0 {
            failures.push(of("no write was acknowledged, so no read could be stale"));
        }
        let SubjectStats { failed_reads, failed_writes, .. } = stats;
        if failed_reads + failed_writes > 0 {
            failures.push(of(&format!("{failed_reads} reads and {failed_writes} writes had no useful answer")));
        }
    }
    if report.own_cpu_share >= OWN_CPU {
        let own = 100.0 * report.own_cpu_share;
        failures.push(format!("the checker itself used {own:.0} % of the CPU time, a third or more"));
    }
    failures
}

/// Returns remarks for readers of the figures that are not failures.
pub(super) fn remarks(report: &Report) -> Vec<String> {
    let share = |stats: &SubjectStats| stats.patterns.get("missing").map_or(0.0, |missing| missing.hit_share());
    let often: Vec<String> = report
        .subjects
        .iter()
        .filter(|stats| share(stats) > MISSING_HITS)
        .map(|stats| format!("{} {:.0} %", stats.subject, 100.0 * share(stats)))
        .collect();
    match often.is_empty() {
        true => Vec::new(),
        false => vec![format!(
            "the missing pattern did not miss, because the entry outlived the write or was back at once: {}",
            often.join(", ")
        )],
    }
}

#[cfg(test)]
mod tests {
    use super::super::map::Promise;
    use super::super::record::Anomaly;
    use super::super::stats::Figures;
    use super::*;

    /// A run without any failure.
    fn report() -> Report {
        let mut stats = SubjectStats::new("explicit", Promise::Never);
        (stats.reads, stats.hits, stats.writes) = (1_000, 900, 50);
        Report {
            date: String::new(),
            commit: String::new(),
            subjects: vec![stats],
            wanted_reads: 1_000,
            says_source: true,
            seconds: 10.0,
            together_seconds: 5.0,
            own_cpu_share: 0.2,
            ended_early: false,
        }
    }

    fn failures_of(change: impl Fn(&mut Report)) -> Vec<String> {
        let mut report = report();
        change(&mut report);
        failures(&report)
    }

    #[test]
    fn run_with_enough_cached_reads_and_kept_promises_passes() {
        assert_eq!(failures_of(|_| {}), Vec::<String>::new());
    }

    #[test]
    fn run_that_proves_nothing_fails_with_its_reason() {
        type Change = fn(&mut Report);
        let checks: [(Change, &str); 10] = [
            (|report| report.subjects[0].anomalies = [(Anomaly::Stale, 2)].into(), "broken 2 times"),
            (|report| report.wanted_reads = 1_001, "only 1000 of 1001 reads"),
            (|report| (report.subjects[0].reads, report.wanted_reads) = (0, 0), "explicit: nothing was read"),
            (|report| report.subjects[0].hits = 0, "no read came from a cache, so its cache was not checked"),
            (
                |report| {
                    (report.subjects[0].hits, report.subjects[0].bypass) = (0, Some("cart; fwd=bypass".to_owned()))
                },
                "the last bypass: `cart; fwd=bypass`",
            ),
            (|report| report.subjects[0].flagged = 501, "most reads were flagged"),
            (|report| report.subjects[0].writes = 0, "no write was acknowledged"),
            (|report| report.subjects[0].failed_reads = 3, "3 reads and 0 writes had no useful answer"),
            (|report| report.subjects[0].failed_writes = 4, "0 reads and 4 writes had no useful answer"),
            (|report| report.own_cpu_share = 0.34, "34 % of the CPU time"),
        ];
        for (change, says) in checks {
            let failures = failures_of(change);
            assert!(failures.len() == 1 && failures[0].contains(says), "{says}: {failures:?}");
        }
    }

    #[test]
    fn every_failure_is_reported() {
        let failures = failures_of(|report| {
            report.subjects[0].writes = 0;
            report.subjects.push(SubjectStats::new("cart", Promise::Never));
        });
        assert_eq!(failures.len(), 3, "{failures:?}");
    }

    #[test]
    fn hits_are_not_required_without_cache_status() {
        let failures = failures_of(|report| (report.subjects[0].hits, report.says_source) = (0, false));
        assert_eq!(failures, Vec::<String>::new());
    }

    #[test]
    fn hits_of_the_missing_pattern_are_remarked() {
        for (hits, remarks_made) in [(300, 0), (400, 1)] {
            let mut report = report();
            report.subjects[0].patterns.insert("missing", Figures { reads: 1_000, hits, collapsed: 0 });
            assert_eq!(remarks(&report).len(), remarks_made, "{hits} hits");
        }
    }
}
