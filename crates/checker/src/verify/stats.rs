//! The checker's figures of one subject.

use std::collections::BTreeMap;

use client::Source;
use hdrhistogram::Histogram;
use serde::{Serialize, Serializer};

use super::judge::Judgement;
use super::map::Promise;
use super::record::{Anomaly, Lost, Misread, Read, Violation, Write, Written, millis};
use super::workload::Pattern;

/// How many violations are kept with all their details.
const KEPT: usize = 20;

/// One subject's figures.
#[derive(Clone, Debug, Serialize)]
pub struct SubjectStats {
    /// Its name.
    pub subject: String,
    /// Its promise: the longest staleness in milliseconds; 0 for never stale.
    pub promise_ms: f64,
    /// Products that were read. A page counts once for each product that it showed.
    pub reads: u64,
    /// Of these, answered by a cache.
    pub hits: u64,
    /// Of these, answered from the memory of a process.
    pub near: u64,
    /// Reads by pattern.
    pub patterns: BTreeMap<&'static str, Figures>,
    /// Reads of responses that no cache keeps. They are judged, but later reads of the session are not compared with
    /// them.
    pub unkept: u64,
    /// Reads of responses that say themselves that they may be outdated: nothing is promised about their age.
    pub flagged: u64,
    /// Responses: a page counts once, however many products it showed.
    pub answers: u64,
    /// Responses that showed something stale.
    pub stale_answers: u64,
    /// Reads without a usable response.
    pub failed_reads: u64,
    /// Acknowledged writes.
    pub writes: u64,
    /// Writes whose invalidation was deferred: they do not raise the floor.
    pub deferred: u64,
    /// Writes without a usable response.
    pub failed_writes: u64,
    /// The error of the last operation without a usable response.
    pub failure: Option<String>,
    /// The `Cache-Status` of the last read that bypassed the cache.
    pub bypass: Option<String>,
    /// Reads that showed a version which was outdated when they began, whether the promise allows it or not.
    pub stale: u64,
    /// The staleness in microseconds: how long the shown version had been outdated when the read began.
    #[serde(serialize_with = "buckets")]
    pub staleness: Histogram<u64>,
    /// The longest time of an acknowledged write through the first replica, in milliseconds. Faults of one process hit
    /// another one.
    pub longest_write_ms: f64,
    /// The longest time from the begin of a write to the end of a read that did not show it yet, in milliseconds.
    pub longest_window_ms: f64,
    /// How often each promise was broken.
    pub anomalies: BTreeMap<Anomaly, u64>,
    /// The first of them.
    pub violations: Vec<Violation>,
}

/// The figures of one pattern's reads.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Figures {
    /// Reads.
    pub reads: u64,
    /// Of these, answered by a cache.
    pub hits: u64,
    /// Of these, answered by another request's load.
    pub collapsed: u64,
}

impl Figures {
    /// Returns the share of hits.
    pub fn hit_share(&self) -> f64 {
        self.hits as f64 / self.reads.max(1) as f64
    }
}

impl SubjectStats {
    /// Creates empty figures.
    pub fn new(subject: &str, promise: Promise) -> Self {
        let promise_ms = match promise {
            Promise::Never => 0.0,
            Promise::AtMost(most) => most.as_secs_f64() * 1e3,
        };
        Self {
            subject: subject.to_owned(),
            promise_ms,
            reads: 0,
            hits: 0,
            near: 0,
            patterns: BTreeMap::new(),
            unkept: 0,
            flagged: 0,
            answers: 0,
            stale_answers: 0,
            failed_reads: 0,
            writes: 0,
            deferred: 0,
            failed_writes: 0,
            failure: None,
            bypass: None,
            stale: 0,
            staleness: Histogram::new(3).expect("three digits are allowed"),
            longest_write_ms: 0.0,
            longest_window_ms: 0.0,
            anomalies: BTreeMap::new(),
            violations: Vec::new(),
        }
    }

    /// Records a response with all products that it showed.
    pub(super) fn answer(&mut self, stale: bool) {
        self.answers += 1;
        self.stale_answers += u64::from(stale);
    }

    pub(super) fn read(&mut self, read: &Read, pattern: Pattern, judgement: &Judgement) {
        let hit = u64::from(read.source.is_cached());
        self.reads += 1;
        self.hits += hit;
        self.near += u64::from(read.source == Source::Near);
        self.unkept += u64::from(!read.kept);
        self.flagged += u64::from(read.flagged);
        let figures = self.patterns.entry(pattern.name()).or_default();
        figures.reads += 1;
        figures.hits += hit;
        figures.collapsed += u64::from(read.source == Source::Collapsed);
        if judgement.stale_for > 0 {
            self.stale += 1;
            // The histogram resizes itself, so no value is out of range.
            let _ = self.staleness.record((judgement.stale_for / 1_000).max(1));
            self.longest_window_ms = self.longest_window_ms.max(millis(judgement.window));
        }
        let Some(anomaly) = judgement.anomaly else { return };
        let &Judgement { version, floor, stale_for, before, .. } = judgement;
        self.broke(anomaly, Violation::Read(Misread { anomaly, read: *read, version, floor, stale_for, before }));
    }

    pub(super) fn lost(&mut self, lost: Lost) {
        self.broke(lost.anomaly, Violation::Write(lost));
    }

    fn broke(&mut self, anomaly: Anomaly, violation: Violation) {
        *self.anomalies.entry(anomaly).or_default() += 1;
        if self.violations.len() < KEPT {
            self.violations.push(violation);
        }
    }

    pub(super) fn write(&mut self, write: &Write) {
        match write.outcome {
            Written::Acknowledged(_) => {
                self.writes += 1;
                if write.node == 0 {
                    self.longest_write_ms = self.longest_write_ms.max(millis(write.end - write.begin));
                }
            }
            Written::Deferred(_) => self.deferred += 1,
            Written::Unknown => {}
        }
    }

    /// Returns the number of broken promises.
    pub fn broken(&self) -> u64 {
        self.anomalies.values().sum()
    }

    /// Returns the upper bound of the share of stale responses, with a probability of 95 %. It counts responses,
    /// because the products of one page are outdated together: they are not independent observations.
    pub fn stale_share_at_most(&self) -> f64 {
        share_at_most(self.stale_answers, self.answers)
    }

    /// Returns the share of hits.
    pub fn hit_share(&self) -> f64 {
        self.hits as f64 / self.reads.max(1) as f64
    }

    /// Returns the share of reads that were answered from the memory of a process.
    pub fn near_share(&self) -> f64 {
        self.near as f64 / self.reads.max(1) as f64
    }

    /// Returns the staleness at this quantile, in milliseconds.
    pub fn staleness_ms(&self, quantile: f64) -> f64 {
        self.staleness.value_at_quantile(quantile) as f64 / 1e3
    }

    /// Returns the greatest staleness, in milliseconds.
    pub fn max_staleness_ms(&self) -> f64 {
        self.staleness.max() as f64 / 1e3
    }
}

/// Returns the upper end of the one-sided 95 % confidence interval of a share: the rule of three if no event was seen
/// (Hanley and Lippman-Hand, JAMA 249, 1983), Wilson's interval (JASA 22, 1927) otherwise.
fn share_at_most(seen: u64, of: u64) -> f64 {
    const Z: f64 = 1.645;
    let (k, n) = (seen as f64, of as f64);
    match (seen, of) {
        (_, 0) => 1.0,
        (0, _) => (3.0 / n).min(1.0),
        _ => {
            let p = k / n;
            let spread = Z * (p * (1.0 - p) / n + Z * Z / (4.0 * n * n)).sqrt();
            ((p + Z * Z / (2.0 * n) + spread) / (1.0 + Z * Z / n)).min(1.0)
        }
    }
}

/// Serializes the raw histogram as pairs of microseconds and counts.
fn buckets<S: Serializer>(histogram: &Histogram<u64>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(histogram.iter_recorded().map(|step| (step.value_iterated_to(), step.count_at_value())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rule_of_three_bounds_a_share_without_events() {
        assert_eq!(share_at_most(0, 3_000), 0.001);
        assert_eq!(share_at_most(0, 0), 1.0);
    }

    #[test]
    fn wilson_bound_approaches_the_share_with_more_reads() {
        let (few, many) = (share_at_most(10, 100), share_at_most(10_000, 100_000));
        assert!((0.15..0.17).contains(&few) && (0.101..0.102).contains(&many), "{few} {many}");
        assert!(share_at_most(7, 7) <= 1.0);
    }
}
