//! The log-likelihood ratio: how surprising it is that two things occur together.
//!
//! T. Dunning, "Accurate Methods for the Statistics of Surprise and Coincidence", Computational Linguistics 19 (1),
//! 1993. Raw counts recommend what is popular everywhere. This measure asks whether two products share more carts than
//! their own frequencies explain, and it does not overrate what was seen once or twice. Under independence it is
//! distributed as χ² with one degree of freedom, so its root above 3.3 has a probability below 0.001.

/// The numbers of baskets that contain two products.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counts {
    /// The number of baskets with both products.
    pub both: u64,
    /// The number of baskets with the first product, with or without the second.
    pub first: u64,
    /// The number of baskets with the second product, with or without the first.
    pub second: u64,
    /// The number of all baskets.
    pub all: u64,
}

impl Counts {
    /// Returns the log-likelihood ratio, `-2 log λ`; never negative.
    pub fn ratio(self) -> f64 {
        let [k11, k12, k21, k22] = self.table();
        let rows = entropy(&[k11 + k12, k21 + k22]);
        let columns = entropy(&[k11 + k21, k12 + k22]);
        // Rounding may take independent counts slightly below zero.
        (2.0 * (rows + columns - entropy(&[k11, k12, k21, k22]))).max(0.0)
    }

    /// Returns the root of the ratio, negative where the two products occur together less often than their frequencies
    /// explain.
    pub fn signed_root(self) -> f64 {
        let root = self.ratio().sqrt();
        // both / first < second / all, without the division.
        let is_rare = u128::from(self.both) * u128::from(self.all) < u128::from(self.first) * u128::from(self.second);
        if is_rare { -root } else { root }
    }

    /// Returns the counts of: both, only the first, only the second, neither.
    fn table(self) -> [f64; 4] {
        let first_only = self.first.saturating_sub(self.both);
        let second_only = self.second.saturating_sub(self.both);
        let neither = self.all.saturating_sub(self.both + first_only + second_only);
        [self.both, first_only, second_only, neither].map(|count| count as f64)
    }
}

/// Returns `N log N - Σ k log k`: the entropy of the counts, times their sum.
fn entropy(counts: &[f64]) -> f64 {
    let x_log_x = |x: f64| if x > 0.0 { x * x.ln() } else { 0.0 };
    x_log_x(counts.iter().sum()) - counts.iter().copied().map(x_log_x).sum::<f64>()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Converts a table as papers print it: both, only the first, only the second, neither.
    fn counts([k11, k12, k21, k22]: [u64; 4]) -> Counts {
        Counts { both: k11, first: k11 + k12, second: k11 + k21, all: k11 + k12 + k21 + k22 }
    }

    #[test]
    fn ratios_equal_those_of_dunnings_paper() {
        // Dunning 1993, table 1: bigrams of a text about Swiss banking.
        let published = [
            ("the swiss", [110, 2442, 111, 29114], 270.72),
            ("can be", [29, 13, 123, 31612], 263.90),
            ("previous year", [31, 23, 139, 31584], 256.84),
            ("mineral water", [10, 0, 3, 31764], 167.23),
            ("at the", [76, 104, 2476, 29121], 157.21),
            ("real terms", [16, 16, 51, 31694], 157.03),
        ];
        for (bigram, table, ratio) in published {
            assert!((counts(table).ratio() - ratio).abs() < 0.011, "{bigram}: {}", counts(table).ratio());
        }
    }

    #[test]
    fn roots_and_ratios_equal_those_that_mahout_publishes() {
        // Owen, Anil, Dunning, Friedman, "Mahout in Action", and Dunning's blog of 2008.
        for (table, root) in [
            ([13, 1000, 1000, 100_000], 0.90),
            ([1, 0, 0, 2], 1.95),
            ([1, 0, 0, 10_000], 4.52),
            ([10, 0, 0, 100_000], 14.3),
        ] {
            assert!((counts(table).signed_root() - root).abs() < 0.06, "{table:?}: {}", counts(table).signed_root());
        }
        // The tests of Mahout's LogLikelihood.
        for (table, ratio) in [
            ([1, 0, 0, 1], 2.772589),
            ([10, 0, 0, 10], 27.72589),
            ([5, 1995, 0, 100_000], 39.33052),
            ([1000, 1995, 1000, 100_000], 4730.737),
            ([1000, 1000, 1000, 100_000], 5734.343),
            ([1000, 1000, 1000, 99_000], 5714.932),
        ] {
            assert!((counts(table).ratio() - ratio).abs() < 0.001, "{table:?}: {}", counts(table).ratio());
        }
    }

    #[test]
    fn root_is_negative_for_products_that_rarely_occur_together() {
        let avoided = Counts { both: 1, first: 100, second: 100, all: 1000 };
        assert!(avoided.ratio() > 10.0 && avoided.signed_root() < -3.0, "{}", avoided.signed_root());
    }

    #[test]
    fn ratio_is_zero_for_independent_or_ubiquitous_products() {
        assert!(Counts { both: 10, first: 100, second: 100, all: 1000 }.ratio() < 1e-6);
        assert!(Counts { both: 50, first: 50, second: 50, all: 50 }.ratio() < 1e-6);
    }

    #[test]
    fn contradictory_counts_give_a_finite_number() {
        for counts in [
            Counts { both: 0, first: 0, second: 0, all: 0 },
            Counts { both: 9, first: 1, second: 1, all: 1 },
            Counts { both: 1, first: 5, second: 5, all: 3 },
        ] {
            assert!(counts.signed_root().is_finite(), "{counts:?}");
        }
    }
}
