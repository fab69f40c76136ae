//! The workload: the choice of the next product to read or write.
//!
//! | pattern | purpose |
//! |---|---|
//! | hot | two products that all sessions read and a writer changes continuously: the race of a fill with an invalidation |
//! | Zipf | many products, few of them popular: the access pattern of a shop |
//! | uniform | the same products with equal probability: entries that usually exist and are seldom read |
//! | missing | products whose entry a write removes before they are read: fills against fills, and against the next write |
//! | sweep | every product once, from every replica, after all events are applied |

use rand::Rng;
use rand::distr::Distribution;
use rand_distr::Zipf;

/// Number of products of each pattern, in every subject. Zipf and uniform share theirs.
const HOT: usize = 2;
const MISSING: usize = 8;

/// The exponent of the Zipf distribution; about that of requests to web caches (Breslau et al., "Web Caching and
/// Zipf-like Distributions", INFOCOM 1999).
const SKEW: f64 = 0.9;

/// How products are chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pattern {
    /// Always the same few products.
    Hot,
    /// Some products far more often than others.
    Zipf,
    /// All products with equal probability.
    Uniform,
    /// Products that were written just before.
    Missing,
    /// Each product once, at the end.
    Sweep,
}

impl Pattern {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Hot => "hot",
            Self::Zipf => "zipf",
            Self::Uniform => "uniform",
            Self::Missing => "missing",
            Self::Sweep => "sweep",
        }
    }
}

/// The products of one subject, by pattern.
#[derive(Clone, Debug)]
pub(super) struct Choice {
    all: usize,
    zipf: Zipf<f64>,
}

impl Choice {
    /// The minimum number of products.
    pub(super) const FEWEST: usize = HOT + MISSING + 1;

    /// Creates the choice among `all` products.
    pub(super) fn of(all: usize) -> Self {
        let others = all.saturating_sub(HOT + MISSING).max(1) as f64;
        Self { all, zipf: Zipf::new(others, SKEW).expect("there is at least one, and the skew is positive") }
    }

    /// Returns the index of the next product, from 0 on.
    pub(super) fn next(&self, pattern: Pattern, rng: &mut impl Rng) -> usize {
        let others = HOT + MISSING;
        match pattern {
            Pattern::Hot => rng.random_range(0..HOT.min(self.all)),
            Pattern::Missing => (HOT + rng.random_range(0..MISSING)).min(self.all - 1),
            Pattern::Uniform | Pattern::Sweep => rng.random_range(others.min(self.all - 1)..self.all),
            Pattern::Zipf => (others + self.zipf.sample(rng) as usize - 1).min(self.all - 1),
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;

    #[test]
    fn hot_and_missing_have_own_products_and_zipf_is_skewed() {
        let (choice, mut rng) = (Choice::of(60), StdRng::seed_from_u64(7));
        let mut counts = [0_u32; 60];
        for _ in 0..10_000 {
            assert!(choice.next(Pattern::Hot, &mut rng) < 2);
            assert!((2..10).contains(&choice.next(Pattern::Missing, &mut rng)));
            assert!((10..60).contains(&choice.next(Pattern::Uniform, &mut rng)));
            counts[choice.next(Pattern::Zipf, &mut rng)] += 1;
        }
        assert!(counts[..10].iter().all(|count| *count == 0) && counts[10] > 5 * counts[40], "{counts:?}");
    }
}
