//! How many rows are carried out at once.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// Half as many after each failure, twice as many after each success: an event that cannot be carried out is soon alone,
/// and holds up only what comes after it. A Redis that is too slow for a whole batch gets smaller ones.
#[derive(Debug)]
pub(super) struct BatchSize {
    most: u32,
    rows: AtomicU32,
}

impl BatchSize {
    pub(super) fn new(most: u32) -> Self {
        let most = most.max(1);
        Self { most, rows: AtomicU32::new(most) }
    }

    /// The most rows for the next attempt.
    pub(super) fn rows(&self) -> u32 {
        self.rows.load(Relaxed)
    }

    pub(super) fn failed(&self) {
        self.rows.store((self.rows() / 2).max(1), Relaxed);
    }

    pub(super) fn succeeded(&self) {
        self.rows.store(self.rows().saturating_mul(2).min(self.most), Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_halved_down_to_one_and_doubled_up_to_the_batch() {
        let batch_size = BatchSize::new(100);
        let halves: Vec<u32> = std::iter::repeat_with(|| {
            batch_size.failed();
            batch_size.rows()
        })
        .take(8)
        .collect();
        assert_eq!(halves, [50, 25, 12, 6, 3, 1, 1, 1]);
        for expected in [2, 4, 8, 16, 32, 64, 100, 100] {
            batch_size.succeeded();
            assert_eq!(batch_size.rows(), expected);
        }
    }
}
