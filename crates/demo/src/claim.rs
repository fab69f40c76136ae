//! Claims of a demo: the text, the measured figure, and whether the claim is true.

use std::fmt::Debug;

/// Whether a claim is true, and if not, what was expected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The claim is true.
    Holds,
    /// The claim is false.
    False {
        /// What the claim promises.
        expected: String,
        seen: String,
    },
}

/// One claim of a demo.
#[derive(Clone, Debug)]
pub(crate) struct Assertion {
    /// The strategy that the claim is about.
    pub strategy: &'static str,
    pub text: String,
    pub figure: String,
    /// Whether the claim is true.
    pub verdict: Verdict,
    /// The condition under which the claim has to be true.
    pub holds: Holds,
}

/// When a claim has to be true.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Holds {
    /// While the service can use its Redis. Examples: a read is a hit, or a read is fast.
    Undisturbed,
    /// Always. Examples: no read is too old, and no read fails.
    Always,
}

/// All claims of a run, in the order in which they were made.
#[derive(Debug, Default)]
pub(crate) struct Assertions(Vec<Assertion>);

impl Verdict {
    /// Returns `Holds` if both values are equal.
    pub(crate) fn equal<T: PartialEq + Debug>(expected: T, seen: T) -> Self {
        Self::that(expected == seen, format!("{expected:?}"), format!("{seen:?}"))
    }

    /// Returns `Holds` if `seen` is at most `limit`.
    pub(crate) fn at_most<T: PartialOrd + Debug>(limit: T, seen: T) -> Self {
        Self::that(seen <= limit, format!("at most {limit:?}"), format!("{seen:?}"))
    }

    /// Returns `Holds` if `holds` is true; otherwise the other arguments explain the failure.
    pub(crate) fn that(holds: bool, expected: impl Into<String>, seen: impl Into<String>) -> Self {
        if holds { Self::Holds } else { Self::False { expected: expected.into(), seen: seen.into() } }
    }
}

impl Assertions {
    pub(crate) fn add(&mut self, claim: Assertion) -> &Assertion {
        self.0.push(claim);
        &self.0[self.0.len() - 1]
    }

    pub(crate) fn all(&self) -> &[Assertion] {
        &self.0
    }

    /// Returns whether a claim that always has to be true is false, among those from number `first` on.
    pub(crate) fn broken(&self, first: usize) -> bool {
        self.0.iter().skip(first).any(|claim| claim.verdict != Verdict::Holds && claim.holds == Holds::Always)
    }

    /// Discards all claims from number `first` on.
    pub(crate) fn take_back(&mut self, first: usize) {
        self.0.truncate(first);
    }

    pub(crate) fn false_ones(&self) -> usize {
        self.0.iter().filter(|claim| claim.verdict != Verdict::Holds).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn false_claim_shows_expected_and_observed_value() {
        assert_eq!(Verdict::equal(3, 3), Verdict::Holds);
        assert_eq!(Verdict::equal(3, 4), Verdict::False { expected: "3".to_owned(), seen: "4".to_owned() });
        assert_eq!(Verdict::at_most(1.0, 1.0), Verdict::Holds);
        assert_ne!(Verdict::at_most(1.0, f64::NAN), Verdict::Holds, "nothing measured proves nothing");
    }
}
