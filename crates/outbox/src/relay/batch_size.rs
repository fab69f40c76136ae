//! The number of rows per batch.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// The batch size: halved after each failure, doubled after each success. So an event that cannot be appended, or that
/// the hook refuses, is soon alone in its batch and delays only the events after it. If Redis is too slow for a whole
/// batch, it receives smaller ones.
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

    /// Returns the maximum number of rows for the next attempt.
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
