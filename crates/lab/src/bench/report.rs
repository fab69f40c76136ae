//! Medians, ratios, and the table that shows them.

use std::fmt;

use anyhow::{Context, Result};
use serde::Serialize;

use super::{Sample, Samples};

/// The median of some numbers, and between which they lie.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Spread {
    /// The middle one.
    pub median: f64,
    /// The least.
    pub min: f64,
    /// The greatest.
    pub max: f64,
}

/// One case, summed up. Ratios are medians of the ratios of each round.
#[derive(Debug, Clone, Serialize)]
pub struct Row {
    /// The case.
    pub name: String,
    /// CPU time of the server per request, in microseconds.
    pub cpu_us: Spread,
    /// The same as a multiple of the reference.
    pub cpu_ratio: Spread,
    /// The least over all rounds, as a multiple of the reference's least: disturbances only ever add.
    pub cpu_ratio_at_best: f64,
    /// Requests per second.
    pub rate: Spread,
    /// The same as a multiple of the reference.
    pub rate_ratio: Spread,
    /// Median response time in milliseconds.
    pub p50_ms: Spread,
    /// 99th percentile of the response times in milliseconds.
    pub p99_ms: Spread,
}

/// All cases, summed up.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// The case that the ratios refer to.
    pub reference: String,
    /// The cases, in the order in which they were measured.
    pub rows: Vec<Row>,
    /// By which factor the reference's CPU time per request varied; 1 on a machine where nothing else happens.
    pub unrest: f64,
    /// Everything that was measured.
    pub samples: Vec<Samples>,
}

impl Spread {
    /// Sums up; of an even number, the median is the mean of the middle two.
    pub fn of(numbers: impl IntoIterator<Item = f64>) -> Self {
        let mut sorted: Vec<f64> = numbers.into_iter().collect();
        sorted.sort_by(f64::total_cmp);
        let at = |index: usize| sorted.get(index).copied().unwrap_or(f64::NAN);
        let last = sorted.len().saturating_sub(1);
        Self { median: f64::midpoint(at(last / 2), at(last.div_ceil(2))), min: at(0), max: at(last) }
    }
}

impl Report {
    /// Compares all samples with those of the case named `reference`.
    pub fn new(samples: Vec<Samples>, reference: &str) -> Result<Self> {
        let base = samples.iter().find(|case| case.name == reference).context("the reference was not measured")?;
        let rows = samples.iter().map(|case| Row::new(case, base)).collect();
        let cpu = Spread::of(base.rounds.iter().map(|sample| sample.cpu_us));
        let unrest = cpu.max / cpu.min;
        Ok(Self { reference: reference.to_owned(), rows, unrest, samples })
    }
}

impl Row {
    fn new(case: &Samples, base: &Samples) -> Self {
        let all = |field: fn(&Sample) -> f64| Spread::of(case.rounds.iter().map(field));
        let ratio = |field: fn(&Sample) -> f64| {
            Spread::of(case.rounds.iter().zip(&base.rounds).map(|(one, other)| field(one) / field(other)))
        };
        let least = |samples: &Samples| Spread::of(samples.rounds.iter().map(|sample| sample.cpu_us)).min;
        Self {
            name: case.name.clone(),
            cpu_ratio_at_best: least(case) / least(base),
            cpu_us: all(|sample| sample.cpu_us),
            cpu_ratio: ratio(|sample| sample.cpu_us),
            rate: all(|sample| sample.rate),
            rate_ratio: ratio(|sample| sample.rate),
            p50_ms: all(|sample| sample.p50_ms),
            p99_ms: all(|sample| sample.p99_ms),
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let times = format!("× {}", self.reference);
        writeln!(
            f,
            "{:<15} {:>18} {:>16} {:>7}  {:>20} {:>16}  {:>6} {:>6}",
            "case", "CPU µs/request", times, "at best", "requests/s", times, "p50 ms", "p99 ms"
        )?;
        for row in &self.rows {
            writeln!(
                f,
                "{:<15} {:>18} {:>16} {:>7.2}  {:>20} {:>16}  {:>6.2} {:>6.2}",
                row.name,
                row.cpu_us.show(1),
                row.cpu_ratio.show(2),
                row.cpu_ratio_at_best,
                row.rate.show(0),
                row.rate_ratio.show(2),
                row.p50_ms.median,
                row.p99_ms.median
            )?;
        }
        writeln!(f, "\nMedians, with the least and greatest in brackets; ratios are taken within each round, but")?;
        write!(f, "\"at best\" compares the least CPU time of each, as disturbances only ever add.")
    }
}

impl Spread {
    fn show(&self, digits: usize) -> String {
        format!("{:.digits$} ({:.digits$}–{:.digits$})", self.median, self.min, self.max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(name: &str, cpu_us: &[f64]) -> Samples {
        let sample = |&cpu_us| Sample { cpu_us, rate: 1e6 / cpu_us, p50_ms: 1.0, p99_ms: 2.0 };
        Samples { name: name.to_owned(), rounds: cpu_us.iter().map(sample).collect() }
    }

    #[test]
    fn the_median_of_an_even_number_lies_between_the_middle_two() {
        assert_eq!(Spread::of([4.0, 1.0, 2.0, 3.0]), Spread { median: 2.5, min: 1.0, max: 4.0 });
        assert_eq!(Spread::of([3.0, 1.0, 2.0]).median, 2.0);
    }

    #[test]
    fn a_ratio_compares_within_a_round_so_that_drift_cancels_out() {
        let report = Report::new(vec![samples("get", &[20.0, 40.0]), samples("ttl", &[22.0, 44.0])], "get").unwrap();
        let ratio = report.rows[1].cpu_ratio;
        assert!((report.rows[1].cpu_ratio_at_best - 1.1).abs() < 1e-9);
        assert!((ratio.min - 1.1).abs() < 1e-9 && (ratio.max - 1.1).abs() < 1e-9, "{ratio:?}");
    }

    #[test]
    fn a_reference_must_have_been_measured() {
        assert!(Report::new(vec![samples("ttl", &[1.0])], "get").is_err());
    }
}
