//! Open-loop load: every request is sent when it is due, however late the responses to other requests are.
//!
//! Latency counts from when a request was due, not from when it could be sent. In a closed loop, the next request waits
//! for the last response. So it sends the fewest requests just when the server is slowest, and does not measure how
//! slow it was ("coordinated omission": Tene, "How NOT to Measure Latency", 2013; Schroeder et al., "Open Versus
//! Closed", NSDI 2006). Arrivals are a Poisson process. A request that fails or is given up counts with at least the
//! time that it took. The delay with which requests are sent is measured as well: a generator that is late measures
//! itself.

mod floors;
mod stream;

use std::time::Duration;

use hdrhistogram::Histogram;

use crate::Source;
pub use stream::Stream;

/// A range of products that is read and written: `first..first + count` under one path.
#[derive(Clone, Debug)]
pub struct ProductRange {
    /// Its name in reports.
    pub name: String,
    /// `http://127.0.0.1:8004`
    pub base: String,
    /// The path before a product's id: `/products/ttl/`.
    pub path: String,
    /// The first product.
    pub first: u64,
    /// The number of products.
    pub count: u64,
}

/// The order in which products are chosen.
#[derive(Clone, Copy, Debug)]
pub enum Order {
    /// At random, some far more often than others: Zipf's law with this exponent; 0 for equal probability.
    Zipf(f64),
    /// One after the other, each once.
    Each,
}

/// The rate and the length of a load.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Requests per second, on average.
    pub rate: f64,
    /// The share of them that are writes.
    pub writes: f64,
    /// The order of the products.
    pub order: Order,
    /// The time during which requests come due.
    pub length: Duration,
}

/// The results of a load.
#[derive(Clone, Debug)]
pub struct TrafficResults {
    /// Latency of reads since they were due, in microseconds; for reads without a response, the time until they were
    /// given up.
    pub reads: Histogram<u64>,
    /// The same for writes.
    pub writes: Histogram<u64>,
    /// The same for reads with a response, by the source of the response, in the order of [`SOURCES`].
    pub sources: [Histogram<u64>; SOURCES.len()],
    /// The delay between the time when requests were due and the time when they were sent.
    pub late: Histogram<u64>,
    /// Reads that showed a version which an acknowledged write had replaced when they were sent.
    pub stale: u64,
    /// How long that version had been replaced, in microseconds.
    pub staleness: Histogram<u64>,
    /// Requests without a usable response.
    pub failed: u64,
    /// Requests that were not sent, because too many were in flight.
    pub given_up: u64,
}

/// The order of [`TrafficResults::sources`].
pub const SOURCES: [Source; 7] =
    [Source::Hit, Source::Near, Source::Stale, Source::Miss, Source::Collapsed, Source::Bypass, Source::Uncached];

impl Default for TrafficResults {
    fn default() -> Self {
        let histogram = || Histogram::new(3).expect("three digits are allowed");
        Self {
            reads: histogram(),
            writes: histogram(),
            sources: std::array::from_fn(|_| histogram()),
            late: histogram(),
            stale: 0,
            staleness: histogram(),
            failed: 0,
            given_up: 0,
        }
    }
}

impl TrafficResults {
    /// Returns the latency of the reads from `source`.
    pub fn from(&self, source: Source) -> &Histogram<u64> {
        &self.sources[SOURCES.iter().position(|it| *it == source).expect("every source is listed")]
    }

    /// Returns the latency of the reads that a cache answered with a fresh entry.
    pub fn fresh(&self) -> Histogram<u64> {
        let mut fresh = self.from(Source::Hit).clone();
        // The histograms resize themselves, so adding cannot fail.
        let _ = fresh.add(self.from(Source::Near));
        fresh
    }

    /// Returns the share of reads that a cache answered.
    pub fn hit_ratio(&self) -> f64 {
        let hits = self.fresh().len() + self.from(Source::Stale).len();
        hits as f64 / self.sources.iter().map(Histogram::len).sum::<u64>().max(1) as f64
    }

    /// Adds the results of another stream.
    pub fn add(&mut self, other: &Self) {
        // The histograms resize themselves, so adding cannot fail.
        let _ = self.reads.add(&other.reads);
        let _ = self.writes.add(&other.writes);
        let _ = self.staleness.add(&other.staleness);
        let _ = self.late.add(&other.late);
        for (sum, more) in self.sources.iter_mut().zip(&other.sources) {
            let _ = sum.add(more);
        }
        self.stale += other.stale;
        self.failed += other.failed;
        self.given_up += other.given_up;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_source_has_a_histogram() {
        let seen = TrafficResults::default();
        assert!(SOURCES.iter().all(|source| seen.from(*source).is_empty()) && seen.fresh().is_empty());
    }
}
