//! Which events this process has carried out of late.

use std::collections::BTreeSet;

/// How many numbers are remembered; an event that comes again after so many others is carried out again.
const REMEMBERED: usize = 65_536;

/// Numbers of events.
#[derive(Debug, Default)]
pub(super) struct Seen {
    numbers: BTreeSet<u64>,
}

impl Seen {
    pub(super) fn has(&self, seq: u64) -> bool {
        self.numbers.contains(&seq)
    }

    /// Remembers a number, and forgets the lowest where that is one too many.
    pub(super) fn add(&mut self, seq: u64) {
        self.numbers.insert(seq);
        if self.numbers.len() > REMEMBERED {
            self.numbers.pop_first();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_numbers_are_remembered() {
        let mut seen = Seen::default();
        let many = REMEMBERED as u64;
        (1..=many + 1).for_each(|seq| seen.add(seq));
        assert!(!seen.has(1) && seen.has(2) && seen.has(many + 1) && !seen.has(many + 2));
    }
}
