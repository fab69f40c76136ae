//! Times: statistics, conversion and formatting.

use std::time::Duration;

/// Some measured times, in milliseconds.
#[derive(Clone, Debug, Default)]
pub struct Times(Vec<f64>);

impl Times {
    /// Returns the time that `percent` of all times did not exceed (nearest rank), or NaN if there are no times.
    pub fn percentile(&self, percent: f64) -> f64 {
        let rank = (percent / 100.0 * self.0.len() as f64).ceil() as usize;
        self.0.get(rank.saturating_sub(1)).copied().unwrap_or(f64::NAN)
    }

    /// Returns the median.
    pub fn median(&self) -> f64 {
        self.percentile(50.0)
    }

    /// Returns the shortest time.
    pub fn min(&self) -> f64 {
        self.percentile(0.0)
    }

    /// Returns the longest time.
    pub fn max(&self) -> f64 {
        self.percentile(100.0)
    }
}

impl FromIterator<f64> for Times {
    fn from_iter<I: IntoIterator<Item = f64>>(times: I) -> Self {
        let mut sorted: Vec<f64> = times.into_iter().collect();
        sorted.sort_by(f64::total_cmp);
        Self(sorted)
    }
}

/// Converts a duration to milliseconds.
pub fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

/// Converts a duration to microseconds.
pub fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// Formats milliseconds for people: `0.84 ms`, `12.3 ms`, `4.21 s`.
pub fn human(ms: f64) -> String {
    match ms {
        ms if ms.is_nan() => "-".to_owned(),
        ms if ms >= 1000.0 => format!("{:.2} s", ms / 1000.0),
        ms if ms >= 10.0 => format!("{ms:.1} ms"),
        ms => format!("{ms:.2} ms"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentile_is_a_measured_time() {
        let times: Times = (1..=200).rev().map(f64::from).collect();
        assert_eq!((times.min(), times.median(), times.percentile(99.0), times.max()), (1.0, 100.0, 198.0, 200.0));
        assert_eq!(Times::from_iter([7.0]).median(), 7.0);
        assert!(Times::default().median().is_nan());
    }

    #[test]
    fn human_time_has_a_unit_that_fits_its_size() {
        let shown = [0.836, 12.34, 999.0, 4210.0, f64::NAN].map(human);
        assert_eq!(shown, ["0.84 ms", "12.3 ms", "999.0 ms", "4.21 s", "-"]);
    }
}
