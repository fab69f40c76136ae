//! Claims: what a demo says, what was measured, and whether it is true.

use std::fmt::Debug;

/// Whether a claim is true; if not, what it would have taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is.
    Holds,
    /// It is not.
    False {
        /// What the claim promises.
        expected: String,
        /// What was the case.
        seen: String,
    },
}

/// One claim of a demo.
#[derive(Clone, Debug)]
pub(super) struct Assertion {
    /// The strategy that it is about.
    pub strategy: &'static str,
    /// The claim itself.
    pub text: String,
    /// The figure that was measured.
    pub figure: String,
    /// Whether it is true.
    pub verdict: Verdict,
    /// On what it depends.
    pub holds: Holds,
}

/// When a claim has to be true.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Holds {
    /// While the service can use its Redis: that a read is a hit, or that it is fast.
    Undisturbed,
    /// Always: that no read is too old, and none fails.
    Always,
}

/// All claims of a run, in the order in which they were made.
#[derive(Debug, Default)]
pub(super) struct Assertions(Vec<Assertion>);

impl Verdict {
    /// Both are the same.
    pub(super) fn equal<T: PartialEq + Debug>(expected: T, seen: T) -> Self {
        Self::that(expected == seen, format!("{expected:?}"), format!("{seen:?}"))
    }

    /// `seen` is `limit` or less.
    pub(super) fn at_most<T: PartialOrd + Debug>(limit: T, seen: T) -> Self {
        Self::that(seen <= limit, format!("at most {limit:?}"), format!("{seen:?}"))
    }

    /// `holds` decides; the rest is for those who have to find out why it does not.
    pub(super) fn that(holds: bool, expected: impl Into<String>, seen: impl Into<String>) -> Self {
        if holds { Self::Holds } else { Self::False { expected: expected.into(), seen: seen.into() } }
    }
}

impl Assertions {
    /// Keeps a claim, and shows it.
    pub(super) fn add(&mut self, claim: Assertion) -> &Assertion {
        self.0.push(claim);
        &self.0[self.0.len() - 1]
    }

    /// All of them.
    pub(super) fn all(&self) -> &[Assertion] {
        &self.0
    }

    /// Whether one that always has to be true is not, among those from number `first` on.
    pub(super) fn broken(&self, first: usize) -> bool {
        self.0.iter().skip(first).any(|claim| claim.verdict != Verdict::Holds && claim.holds == Holds::Always)
    }

    /// Takes back all from number `first` on.
    pub(super) fn take_back(&mut self, first: usize) {
        self.0.truncate(first);
    }

    /// How many are false.
    pub(super) fn false_ones(&self) -> usize {
        self.0.iter().filter(|claim| claim.verdict != Verdict::Holds).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_false_claim_says_what_was_expected_and_what_was_seen() {
        assert_eq!(Verdict::equal(3, 3), Verdict::Holds);
        assert_eq!(Verdict::equal(3, 4), Verdict::False { expected: "3".to_owned(), seen: "4".to_owned() });
        assert_eq!(Verdict::at_most(1.0, 1.0), Verdict::Holds);
        assert_ne!(Verdict::at_most(1.0, f64::NAN), Verdict::Holds, "nothing measured proves nothing");
    }
}
