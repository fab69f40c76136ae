//! The metrics of a cache, resolved once so that counting a hit is one atomic addition.

use std::time::Duration;

use metrics::{Counter, Histogram, counter, histogram};

use crate::{Fill, Outcome};

#[derive(Debug)]
pub(crate) struct Metrics {
    reads: [Counter; 5],
    fills: [Counter; 4],
    loads: Counter,
    load_errors: Counter,
    load_seconds: Histogram,
}

const READS: [&str; 5] = ["hit", "stale", "miss", "collapsed", "bypass"];
const FILLS: [&str; 4] = ["stored", "refused", "declined", "failed"];

impl Metrics {
    pub(crate) fn new(keyspace: &str, cache: &str) -> Self {
        let (keyspace, cache) = (keyspace.to_owned(), cache.to_owned());
        let labelled = |name: &'static str, label: &'static str, value: &'static str| counter!(name, "keyspace" => keyspace.clone(), "lane" => cache.clone(), label => value);
        Self {
            reads: READS.map(|outcome| labelled("cache_reads_total", "outcome", outcome)),
            fills: FILLS.map(|result| labelled("cache_fills_total", "result", result)),
            loads: labelled("cache_loads_total", "source", "database"),
            load_errors: labelled("cache_load_errors_total", "source", "database"),
            load_seconds: histogram!("cache_load_seconds", "keyspace" => keyspace.clone(), "lane" => cache.clone()),
        }
    }

    pub(crate) fn read(&self, outcome: Outcome) {
        self.reads[read_index(outcome)].increment(1);
    }

    pub(crate) fn fill(&self, fill: Fill) {
        self.fills[fill_index(fill)].increment(1);
    }

    pub(crate) fn load(&self, took: Duration, ok: bool) {
        self.loads.increment(1);
        self.load_seconds.record(took);
        if !ok {
            self.load_errors.increment(1);
        }
    }
}

/// Returns the index of an outcome's label in [`READS`].
fn read_index(outcome: Outcome) -> usize {
    match outcome {
        Outcome::Hit => 0,
        Outcome::Stale => 1,
        Outcome::Miss(_) => 2,
        Outcome::Collapsed => 3,
        Outcome::Bypass(_) => 4,
    }
}

/// Returns the index of a fill's label in [`FILLS`].
fn fill_index(fill: Fill) -> usize {
    match fill {
        Fill::Stored => 0,
        Fill::Refused(_) => 1,
        Fill::Declined => 2,
        Fill::Failed => 3,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Bypass, FillRefusal};

    #[test]
    fn every_outcome_and_fill_is_counted_under_its_own_label() {
        for (outcome, label) in [
            (Outcome::Hit, "hit"),
            (Outcome::Stale, "stale"),
            (Outcome::Miss(Fill::Stored), "miss"),
            (Outcome::Miss(Fill::Failed), "miss"),
            (Outcome::Collapsed, "collapsed"),
            (Outcome::Bypass(Bypass::RedisDown), "bypass"),
            (Outcome::Bypass(Bypass::Requested("why")), "bypass"),
        ] {
            assert_eq!((READS[read_index(outcome)], outcome.as_str()), (label, label));
        }
        for (fill, label) in [
            (Fill::Stored, "stored"),
            (Fill::Refused(FillRefusal::LeaseLost), "refused"),
            (Fill::Declined, "declined"),
            (Fill::Failed, "failed"),
        ] {
            assert_eq!(FILLS[fill_index(fill)], label);
        }
    }
}
