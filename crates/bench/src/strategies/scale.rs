//! A logarithmic axis: the positions of values and of ticks.

/// An axis between two pixels.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scale {
    low: f64,
    high: f64,
    from: i32,
    to: i32,
}

impl Scale {
    /// Creates an axis with room for all these values. Values that are not above zero have no position on it.
    pub(super) fn around(values: impl Iterator<Item = f64>, from: i32, to: i32) -> Self {
        let (low, high) = values
            .filter(|value| value.is_finite() && *value > 0.0)
            .fold((f64::INFINITY, 0.0_f64), |(low, high), value| (low.min(value), high.max(value)));
        match high > 0.0 {
            // Ten per cent on both sides, and wide enough that there is a tick in between.
            true => Self { low: low / 1.1, high: (high * 1.1).max(low * 5.0), from, to },
            false => Self { low: 0.1, high: 1.0, from, to },
        }
    }

    /// Returns the pixel of a value.
    pub(super) fn at(&self, value: f64) -> i32 {
        let share = (value / self.low).ln() / (self.high / self.low).ln();
        self.from + (share * f64::from(self.to - self.from)).round() as i32
    }

    /// Returns the ticks 1, 2, 5, 10, …; over many decades only the powers of ten.
    pub(super) fn ticks(&self) -> Vec<f64> {
        let steps: &[i32] = if self.high / self.low > 20_000.0 { &[1] } else { &[1, 2, 5] };
        let decades = self.low.log10().floor() as i32..=self.high.log10().ceil() as i32;
        let tick = |decade: i32, step: i32| match decade {
            0.. => f64::from(step) * 10_f64.powi(decade),
            _ => f64::from(step) / 10_f64.powi(-decade),
        };
        let all = decades.flat_map(|decade| steps.iter().map(move |step| tick(decade, *step)));
        all.filter(|tick| (self.low..=self.high).contains(tick)).collect()
    }
}

/// Formats `0.2`, `10`, `2000`: with as many digits as the number has.
pub(super) fn plain(value: f64) -> String {
    match value {
        value if value >= 1.0 => format!("{value:.0}"),
        value => format!("{value:.4}").trim_end_matches('0').to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_lie_inside_the_frame_and_labels_are_unique() {
        for values in [vec![0.18, 7.0], vec![0.3], vec![0.001, 20_000.0], vec![10.0, 100_000.0], vec![0.0]] {
            let scale = Scale::around(values.iter().copied(), 100, 800);
            for value in values.iter().filter(|value| **value > 0.0) {
                assert!((101..800).contains(&scale.at(*value)), "{value} is at {}", scale.at(*value));
            }
            let labels: Vec<String> = scale.ticks().into_iter().map(plain).collect();
            let mut once = labels.clone();
            once.dedup();
            assert_eq!(labels, once);
            assert!((2..=13).contains(&labels.len()), "{values:?}: {labels:?}");
        }
        let below_a_millisecond = Scale::around([0.18, 7.0].into_iter(), 0, 100).ticks();
        assert_eq!(below_a_millisecond, [0.2, 0.5, 1.0, 2.0, 5.0]);
    }
}
