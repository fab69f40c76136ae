//! The result of exploring one scenario.

use std::time::Duration;

use super::configuration::Promise;
use super::defence::Without;

/// The result of exploring one scenario.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// The scenario.
    pub scenario: &'static str,
    /// The removed defences.
    pub without: Without,
    /// The promise that must be broken; `None` for the whole protocol.
    pub breaks: Option<Promise>,
    /// The promises that were broken.
    pub broken: Vec<&'static str>,
    /// The goals that should have been reached in some state and were not.
    pub vacuous: Vec<&'static str>,
    /// The number of distinct states; not all of them if a promise was broken, because the exploration then ends early.
    pub states: usize,
    /// How long it took.
    pub took: Duration,
    /// A path to the first violation.
    pub path: Option<String>,
}

impl Verdict {
    /// Returns whether the result is as expected: the whole protocol keeps its promises, and without a defence the
    /// promise that it is for is broken.
    pub fn is_as_expected(&self) -> bool {
        match self.breaks {
            None => self.broken.is_empty() && self.vacuous.is_empty(),
            Some(promise) => self.broken.contains(&promise.words()),
        }
    }
}
