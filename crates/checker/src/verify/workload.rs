//! The workload: the choice of the next product to read or write, and the roles of the sessions.
//!
//! | pattern | purpose |
//! |---|---|
//! | hot | two products that all sessions read and a writer changes continuously: the race of a fill with an invalidation |
//! | Zipf | many products, few of them popular: the access pattern of a shop |
//! | uniform | the same products with equal probability: entries that usually exist and are seldom read |
//! | missing | products whose entry a write removes before they are read: fills against fills, and against the next write |
//! | sweep | every product once, from every replica, after all events are applied |
//!
//! The patterns hot, Zipf and uniform have independent readers and a writer each. The missing products have a writer
//! that signals its readers, because an independent reader would find an entry that another reader has filled:
//!
//! ```text
//! writer  write ── pause ── signal ── write again ── read, which must not be stale
//! reader                      └──── read            the entry is gone since the first write: it fills
//! reader                      └──── read            so does this one, at the same time
//! ```
//!
//! Announced invalidations arrive during the pause. A cache that keeps an entry through a write of its product
//! (write-through, or a cache that relies on TTLs) has hits nevertheless; the report says how many.

use std::time::Duration;

use rand::Rng;
use rand::distr::Distribution;
use rand_distr::Zipf;
use tokio::sync::watch;

use super::map::Promise;

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

/// The static part of a session's role.
#[derive(Clone, Copy, Debug)]
pub(super) struct SessionRole {
    pub(super) pattern: Pattern,
    writes: bool,
    /// The maximum pause after an operation, or before a signal.
    pub(super) pause: Duration,
}

/// The part of a session, with its channel if it needs one.
#[derive(Debug)]
pub(super) enum Part {
    /// Reads in a loop.
    Reads,
    /// Writes, and reads immediately: no read can begin sooner after the acknowledgement.
    Writes,
    /// Writes a missing product, and signals its readers.
    Calls(watch::Sender<usize>),
    /// Reads the product of each signal.
    Waits(watch::Receiver<usize>),
}

const fn reads(pattern: Pattern, pause_ms: u64) -> SessionRole {
    SessionRole { pattern, writes: false, pause: Duration::from_millis(pause_ms) }
}

const fn writes(pattern: Pattern, pause_ms: u64) -> SessionRole {
    SessionRole { pattern, writes: true, pause: Duration::from_millis(pause_ms) }
}

/// Where nothing stale is allowed, readers do not pause.
const STRICT: [SessionRole; 11] = [
    reads(Pattern::Hot, 0),
    reads(Pattern::Hot, 0),
    reads(Pattern::Zipf, 0),
    reads(Pattern::Zipf, 0),
    reads(Pattern::Uniform, 0),
    reads(Pattern::Missing, 0),
    reads(Pattern::Missing, 0),
    writes(Pattern::Hot, 80),
    writes(Pattern::Zipf, 300),
    writes(Pattern::Uniform, 300),
    writes(Pattern::Missing, 100),
];

/// Where the staleness window is measured, fewer sessions suffice.
const BOUNDED: [SessionRole; 9] = [
    reads(Pattern::Hot, 20),
    reads(Pattern::Zipf, 20),
    reads(Pattern::Uniform, 20),
    reads(Pattern::Missing, 0),
    reads(Pattern::Missing, 0),
    writes(Pattern::Hot, 500),
    writes(Pattern::Zipf, 1_000),
    writes(Pattern::Uniform, 1_000),
    writes(Pattern::Missing, 2_000),
];

impl SessionRole {
    /// Returns the roles of a subject with this promise, each with its part.
    pub(super) fn all(promise: Promise) -> Vec<(Self, Part)> {
        let roles: &[Self] = if promise == Promise::Never { &STRICT } else { &BOUNDED };
        let (caller, called) = watch::channel(0);
        let part = |role: &Self| match (role.pattern, role.writes) {
            (Pattern::Missing, true) => Part::Calls(caller.clone()),
            (Pattern::Missing, false) => Part::Waits(called.clone()),
            (_, true) => Part::Writes,
            (_, false) => Part::Reads,
        };
        roles.iter().map(|role| (*role, part(role))).collect()
    }
}

impl Part {
    /// Returns whether the part needs a connection for writes.
    pub(super) fn writes(&self) -> bool {
        matches!(self, Self::Writes | Self::Calls(_))
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

    #[test]
    fn every_pattern_is_read_and_written_under_every_promise() {
        for promise in [Promise::Never, Promise::AtMost(Duration::from_secs(1))] {
            for pattern in [Pattern::Hot, Pattern::Zipf, Pattern::Uniform, Pattern::Missing] {
                let roles = SessionRole::all(promise);
                let has = |writes| roles.iter().any(|(role, part)| role.pattern == pattern && part.writes() == writes);
                assert!(has(true) && has(false), "{promise:?} {pattern:?}");
            }
        }
    }
}
