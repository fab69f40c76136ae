//! The conditions of `--assert`.

use anyhow::{Result, ensure};
use client::times::human;

use super::figures::{Figures, spread};

/// Maximum p99 of the delay, in ms.
const P99_AT_MOST: f64 = 20.0;
/// Minimum share of the requested rows that must be written per second.
const REACHED_AT_LEAST: f64 = 0.95;

/// Returns the growth of the lag from the first third of the seconds to the last: the difference of their medians.
fn growth(lag: &[(i64, f64)]) -> f64 {
    let third = (lag.len() / 3).max(1).min(lag.len());
    let median = |seconds: &[(i64, f64)]| {
        let mut behind: Vec<f64> = seconds.iter().map(|(undone, lag)| lag.max(*undone as f64)).collect();
        behind.sort_by(f64::total_cmp);
        behind.get(behind.len() / 2).copied().unwrap_or(0.0)
    };
    median(&lag[lag.len() - third..]) - median(&lag[..third])
}

impl Figures {
    /// Checks the figures against the targets at `rows` per second.
    pub(super) fn check(&self, rows: f64) -> Result<()> {
        let p99 = spread(&self.from_answer, "all four", 99.0).median();
        ensure!(self.lost == 0, "{} entries were not invalidated", self.lost);
        ensure!(p99 <= P99_AT_MOST, "p99 from the response is {}, at most {P99_AT_MOST} ms is wanted", human(p99));
        let (reached, wanted) = (self.reached(), REACHED_AT_LEAST * rows);
        ensure!(reached >= wanted, "{reached:.0} rows a second were written, at least {wanted:.0} are wanted");
        let seconds = self.written_s - 2.0;
        ensure!(
            self.lag.len() as f64 >= seconds,
            "the lag was read {} times in {:.0} s",
            self.lag.len(),
            self.written_s
        );
        let behind = self.lag.last().map_or(0.0, |(undone, lag)| lag.max(*undone as f64));
        ensure!(
            behind <= rows,
            "in the end {behind} events were not carried out, more than a second's worth: {:?}",
            self.lag
        );
        let growth = growth(&self.lag);
        ensure!(growth <= rows / 2.0, "the lag grew by {growth} events while rows were written: {:?}", self.lag);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    /// Figures of a run that keeps every promise, with this lag of a consumer each second.
    fn figures(lag: &[f64]) -> Figures {
        let from_answer = BTreeMap::from([("all four", vec![vec![4.0; 100]])]);
        let lag = lag.iter().map(|lag| (0, *lag)).collect();
        Figures { from_answer, lag, rows_written: 40_000, written_s: 20.0, ..Figures::default() }
    }

    #[test]
    fn growing_lag_fails_the_benchmark_and_flat_lag_does_not() {
        let flat: Vec<f64> = (0..20).map(|second| 300.0 + 700.0 * f64::from(second % 3)).collect();
        figures(&flat).check(2_000.0).expect("it is flat");
        // The observed failure: the lag grows by 750 events per second.
        let growing: Vec<f64> = (0..20).map(|second| 750.0 * f64::from(second)).collect();
        assert!(figures(&growing).check(2_000.0).is_err());
        let slowly: Vec<f64> = (0..20).map(|second| 95.0 * f64::from(second)).collect();
        assert!(figures(&slowly).check(2_000.0).is_err(), "it is below a second's worth, and grows");
        assert!(figures(&flat[..10]).check(2_000.0).is_err(), "half of the time nothing was looked at");
    }

    #[test]
    fn late_lost_or_missing_writes_fail_the_benchmark() {
        let late = BTreeMap::from([("all four", vec![vec![25.0; 100]])]);
        assert!(Figures { from_answer: late, ..figures(&[300.0; 20]) }.check(2_000.0).is_err());
        assert!(Figures { lost: 1, ..figures(&[300.0; 20]) }.check(2_000.0).is_err());
        assert!(Figures { rows_written: 30_000, ..figures(&[300.0; 20]) }.check(2_000.0).is_err());
    }
}
