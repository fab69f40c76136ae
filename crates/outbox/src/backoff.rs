//! Backoff between attempts.

use std::time::Duration;

/// Pauses that double, with jitter, so that many clients that wait for the same dependency do not all retry at once.
#[derive(Debug)]
pub struct Backoff {
    first: Duration,
    longest: Duration,
    next: Duration,
}

impl Backoff {
    /// The longest pause of [`Backoff::new`].
    pub(crate) const LONGEST: Duration = Duration::from_secs(2);

    /// Creates a backoff from 100 ms to 2 s.
    pub(crate) fn new() -> Self {
        Self::between(Duration::from_millis(100), Self::LONGEST)
    }

    /// Creates a backoff from `first` to `longest`.
    pub fn between(first: Duration, longest: Duration) -> Self {
        Self { first, longest, next: first }
    }

    /// Returns the pause before the next attempt: between half of the current pause and all of it.
    pub fn pause(&mut self) -> Duration {
        let pause = self.next.mul_f64(rand::random_range(0.5..=1.0));
        self.next = (self.next * 2).min(self.longest);
        pause
    }

    /// Starts with the first pause again, after a success.
    pub fn reset(&mut self) {
        self.next = self.first;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backoff_pauses_double_up_to_the_longest_with_up_to_half_jitter() {
        let mut backoff = Backoff::new();
        for whole in [100, 200, 400, 800, 1_600, 2_000, 2_000, 100].map(Duration::from_millis) {
            if whole == backoff.first && backoff.next == backoff.longest {
                backoff.reset();
            }
            let pause = backoff.pause();
            assert!(whole / 2 <= pause && pause <= whole, "{pause:?} of {whole:?}");
        }
    }
}
