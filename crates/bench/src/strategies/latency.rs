//! A distribution of times, and its histogram in a form that can be stored and read again.

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

/// Significant digits of the histograms: the error of a time is less than 1 %.
const DIGITS: u8 = 2;

/// Times in milliseconds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Latency {
    pub(super) count: u64,
    pub(super) p50: f64,
    pub(super) p99: f64,
    pub(super) max: f64,
    /// Alternately the difference to the previous time in microseconds, and the count. Published in a file of its own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) histogram: Vec<u64>,
}

impl Latency {
    /// Converts a histogram of microseconds.
    pub(super) fn of(times: &Histogram<u64>) -> Self {
        let mut coarse = Histogram::new(DIGITS).expect("so many digits are allowed");
        // The histogram resizes itself, so no value is out of range.
        times.iter_recorded().for_each(|at| {
            let _ = coarse.record_n(at.value_iterated_to(), at.count_at_value());
        });
        let ms = |us: u64| us as f64 / 1e3;
        let (mut before, mut histogram) = (0, Vec::new());
        for at in coarse.iter_recorded() {
            histogram.extend([at.value_iterated_to() - before, at.count_at_value()]);
            before = at.value_iterated_to();
        }
        Self {
            count: coarse.len(),
            p50: ms(coarse.value_at_quantile(0.5)),
            p99: ms(coarse.value_at_quantile(0.99)),
            max: ms(coarse.max()),
            histogram,
        }
    }

    /// Merges these histograms; returns `None` if there are none.
    pub(super) fn merged<'a>(all: impl Iterator<Item = &'a Self>) -> Option<Self> {
        let mut sum = Histogram::new(DIGITS).expect("so many digits are allowed");
        for (us, count) in all.flat_map(Self::times) {
            let _ = sum.record_n(us, count);
        }
        (!sum.is_empty()).then(|| Self::of(&sum))
    }

    /// Returns a copy without the histogram.
    pub(super) fn short(&self) -> Self {
        Self { histogram: Vec::new(), ..self.clone() }
    }

    /// Computes the quantiles from the histogram again.
    pub(super) fn again(&self) -> Self {
        Self::merged(std::iter::once(self)).unwrap_or_default()
    }

    fn times(&self) -> impl Iterator<Item = (u64, u64)> {
        self.histogram.chunks_exact(2).scan(0, |us, pair| {
            *us += pair[0];
            Some((*us, pair[1]))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(times: impl IntoIterator<Item = u64>) -> Histogram<u64> {
        let mut histogram = Histogram::new(3).unwrap();
        times.into_iter().for_each(|us| histogram.record(us).unwrap());
        histogram
    }

    #[test]
    fn stored_histogram_yields_the_same_quantiles() {
        let latency = Latency::of(&times((1..=5_000).chain([9_000_000])));
        assert_eq!(latency.again(), latency);
        let off = (latency.p50 - 2.5).abs() / 2.5;
        assert!(off < 0.01, "{latency:?}");
        assert_eq!(latency.count, 5_001);
        assert_eq!(Latency::default().again(), Latency::default());
    }

    #[test]
    fn rounds_are_merged_before_a_quantile_is_taken() {
        // Nine quiet rounds and a bad one: the 99th percentile of all lies within the bad one.
        let quiet = Latency::of(&times(std::iter::repeat_n(100, 100)));
        let bad = Latency::of(&times(std::iter::repeat_n(10_000, 100)));
        let merged = Latency::merged(std::iter::repeat_n(&quiet, 9).chain([&bad])).unwrap();
        assert_eq!((merged.count, merged.p50), (1_000, 0.1));
        assert!(merged.p99 > 9.9, "{merged:?}");
    }
}
