//! The figures of the events benchmark, their tables, and the conditions of `--assert`.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use client::times::{Times, human};
use serde::Serialize;

pub(super) fn print(figures: &Figures) {
    println!(
        "\nUntil the entry is gone, in ms: {} writes/s, {} probes, {} lost.\n\
         Median of the rounds, least and greatest in brackets.",
        figures.rate, figures.probes, figures.lost
    );
    for (why, count) in &figures.discarded {
        println!("Discarded: {count}, because {why}.");
    }
    for (title, delays) in [
        ("request (from when it was due) → gone: an upper bound of COMMIT → gone", &figures.from_request),
        ("answer → gone: a lower bound, 0 where it was gone before the answer", &figures.from_answer),
    ] {
        println!("\n{title}");
        println!("{:<16}{:>20}{:>20}{:>20}{:>20}", "", "p50", "p95", "p99", "max");
        for place in PLACES {
            let at = |percent| {
                let ms = spread(delays, place, percent);
                format!("{:.1} ({:.1}–{:.1})", ms.median(), ms.min(), ms.max())
            };
            println!("{place:<16}{:>20}{:>20}{:>20}{:>20}", at(50.0), at(95.0), at(99.0), at(100.0));
        }
    }
    println!(
        "\n{} rows/s asked for in SQL, each committed by itself, in {} sessions: {} rows in {:.1} s are {:.0} rows/s.\n\
         Lag each second (outbox rows, greatest of a consumer):",
        figures.rows,
        figures.sessions,
        figures.rows_written,
        figures.written_s,
        figures.reached()
    );
    for (second, (undone, greatest)) in figures.lag.iter().enumerate() {
        println!("  {:>3} s  {undone:>7}  {greatest:>7}", second + 1);
    }
    println!("drained {:.2} s after the last row", figures.drained_s);
}

/// The services, all of them together, and the bare subscriber on the channel.
pub(super) const PLACES: [&str; 6] = ["product-api", "cart", "search", "recommendation", "all four", "bare subscriber"];

/// For each of [`PLACES`], a list of delays per round.
pub(super) type Delays = BTreeMap<&'static str, Vec<Vec<f64>>>;

#[derive(Debug, Default, Serialize)]
pub(super) struct Figures {
    pub(super) commit: String,
    pub(super) rate: u32,
    pub(super) probes: usize,
    pub(super) lost: usize,
    /// Discarded probes, by reason.
    pub(super) discarded: BTreeMap<&'static str, usize>,
    /// Milliseconds until the entry was gone, since the request was due, which is before COMMIT.
    pub(super) from_request: Delays,
    /// The same since the response arrived, which is after COMMIT; 0 if the entry was gone by then.
    pub(super) from_answer: Delays,
    pub(super) rows: u32,
    pub(super) sessions: u32,
    pub(super) rows_written: u64,
    /// Duration of these writes in seconds.
    pub(super) written_s: f64,
    /// For each second: the outbox rows that are not done, and the greatest lag of a consumer.
    pub(super) lag: Vec<(i64, f64)>,
    /// Seconds from the last row until no consumer lagged.
    pub(super) drained_s: f64,
}

impl Figures {
    /// Returns the number of rows that were written per second.
    pub(super) fn reached(&self) -> f64 {
        self.rows_written as f64 / self.written_s.max(f64::EPSILON)
    }
}

/// Returns a percentile of each round.
pub(super) fn spread(delays: &Delays, place: &str, percent: f64) -> Times {
    let rounds = delays.get(place).into_iter().flatten();
    rounds.map(|ms| ms.iter().copied().collect::<Times>().percentile(percent)).collect()
}

/// Maximum p99 of the delay, in ms.
const P99_AT_MOST: f64 = 20.0;
/// Minimum share of the requested rows that must be written per second.
const REACHED_AT_LEAST: f64 = 0.95;

/// Maximum growth of the lag per second, as a share of the rows that are committed per second: 20 events/s at 2,000
/// rows/s. The lag is flat if relay and consumers keep up with at least 99 % of the rows; the remaining 1 % is the
/// precision of a run of 20 s, not a permitted growth.
const GROWTH_AT_MOST: f64 = 0.01;

/// Returns a lower bound of the growth of the lag in events per second, at a confidence of 97.5 %.
///
/// The growth is estimated as the median of the slopes between any two seconds (Theil and Sen), because a least-squares
/// line follows a single late checkpoint of Postgres. The bound, from the variance of Kendall's rank correlation, is the
/// slope that only few pairs of seconds are below: a series that grows steadily has all slopes alike, so its bound is
/// its growth, and a noisy one without a direction has a bound below 0.
fn growth(lag: &[(i64, f64)]) -> f64 {
    let behind: Vec<f64> = lag.iter().map(|(undone, lag)| lag.max(*undone as f64)).collect();
    let mut slopes: Vec<f64> = Vec::new();
    for (early, before) in behind.iter().enumerate() {
        let later = behind[early + 1..].iter().zip(1_u32..);
        slopes.extend(later.map(|(after, seconds)| (after - before) / f64::from(seconds)));
    }
    slopes.sort_by(f64::total_cmp);
    let (pairs, seconds) = (slopes.len() as f64, behind.len() as f64);
    let deviation = (seconds * (seconds - 1.0) * (2.0 * seconds + 5.0) / 18.0).sqrt();
    let bound = ((pairs - 1.96 * deviation) / 2.0).max(0.0) as usize;
    slopes.get(bound).copied().unwrap_or(0.0)
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
        ensure!(
            growth <= GROWTH_AT_MOST * rows,
            "the lag grew by {growth:.0} events a second while rows were written: {:?}",
            self.lag
        );
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

    /// Returns the lag of 20 seconds that grows by `slope` per second, with noise of up to `noise` in both directions.
    fn series(slope: f64, noise: f64) -> Vec<f64> {
        // Steps of the golden ratio: even, and without a direction.
        let deviation = |second: u32| (f64::from(second) * 0.618_034).fract() * 2.0 - 1.0;
        (0..20).map(|second| 500.0 + slope * f64::from(second) + noise * deviation(second)).collect()
    }

    #[test]
    fn flat_lag_passes_with_noise_peaks_and_a_warm_up() {
        let sawtooth = (0..20).map(|second| 300.0 + 700.0 * f64::from(second % 3)).collect();
        let mut late_peak = series(0.0, 0.0);
        late_peak[18] = 3_500.0;
        let mut warm_up = series(0.0, 20.0);
        warm_up[..2].fill(0.0);
        let draining = series(-50.0, 100.0).into_iter().map(|lag| lag.max(0.0)).collect();
        for flat in [vec![0.0; 20], series(0.0, 0.0), series(0.0, 500.0), sawtooth, late_peak, warm_up, draining] {
            figures(&flat).check(2_000.0).unwrap_or_else(|error| panic!("{flat:?} is flat: {error}"));
        }
    }

    #[test]
    fn slowly_growing_lag_fails_with_and_without_noise() {
        // The observed failure was 750 events per second; 50 are within a second's worth for the whole run.
        for (slope, noise) in [(25.0, 0.0), (30.0, 50.0), (50.0, 0.0), (50.0, 150.0), (750.0, 500.0)] {
            let error = figures(&series(slope, noise)).check(2_000.0).expect_err("the lag grows");
            let reason = if slope > 100.0 { "more than a second's worth" } else { "the lag grew" };
            assert!(error.to_string().contains(reason), "{slope} {noise}: {error}");
        }
        let half_a_percent = series(10.0, 0.0);
        figures(&half_a_percent).check(2_000.0).expect("it is below the precision of a run");
    }

    #[test]
    fn lag_that_was_not_read_each_second_fails_the_benchmark() {
        assert!(figures(&series(0.0, 0.0)[..10]).check(2_000.0).is_err());
    }

    #[test]
    fn late_lost_or_missing_writes_fail_the_benchmark() {
        let late = BTreeMap::from([("all four", vec![vec![25.0; 100]])]);
        assert!(Figures { from_answer: late, ..figures(&[300.0; 20]) }.check(2_000.0).is_err());
        assert!(Figures { lost: 1, ..figures(&[300.0; 20]) }.check(2_000.0).is_err());
        assert!(Figures { rows_written: 30_000, ..figures(&[300.0; 20]) }.check(2_000.0).is_err());
    }
}
