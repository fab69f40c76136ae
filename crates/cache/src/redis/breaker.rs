//! The circuit breaker: no command is sent while Redis is down, so a read then costs only the time of the database.
//!
//! ```text
//! open ──probe succeeds──▶ closed ──threshold failures in a row, a dropped connection,──▶ open
//!                                  or a state that forbids the use of Redis
//! ```
//!
//! It starts open. Only the probe, a background task, closes it: no request has to try whether Redis answers again.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};

#[derive(Debug)]
pub(crate) struct Breaker {
    closed: AtomicBool,
    failures: AtomicU32,
    threshold: u32,
}

impl Breaker {
    pub(crate) fn new(threshold: u32) -> Self {
        Self { closed: AtomicBool::new(false), failures: AtomicU32::new(0), threshold: threshold.max(1) }
    }

    /// Returns whether commands may be sent to Redis.
    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Relaxed)
    }

    /// Closes the breaker after a successful probe. Returns whether that changed its state.
    pub(crate) fn close(&self) -> bool {
        self.failures.store(0, Relaxed);
        !self.closed.swap(true, Relaxed)
    }

    /// Opens the breaker, because Redis must not be used. Returns whether that changed its state.
    pub(crate) fn open(&self) -> bool {
        self.closed.swap(false, Relaxed)
    }

    /// Records that a command was answered, even by an error.
    pub(crate) fn answered(&self) {
        if self.failures.load(Relaxed) != 0 {
            self.failures.store(0, Relaxed);
        }
    }

    /// Records that a command was not answered. Returns whether that opened the breaker.
    pub(crate) fn failed(&self) -> bool {
        self.failures.fetch_add(1, Relaxed) + 1 >= self.threshold && self.open()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn breaker_opens_at_the_threshold_and_only_the_probe_closes_it() {
        let breaker = Breaker::new(2);
        assert!(!breaker.is_closed());
        assert!(breaker.close() && !breaker.close());
        assert!(!breaker.failed() && breaker.is_closed());
        breaker.answered();
        assert!(!breaker.failed() && breaker.is_closed(), "failures count in a row only");
        assert!(breaker.failed() && !breaker.is_closed());
        breaker.answered();
        assert!(!breaker.is_closed(), "a late answer does not close it");
        assert!(breaker.close() && breaker.open() && !breaker.is_closed());
    }
}
