//! The circuit breaker: no command is sent while Redis is down, so a read then costs only the time of the database.

use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicU32};

/// ```text
/// open ──probe succeeds──▶ closed ──threshold failures in a row, a dropped connection,──▶ open
///                                  or a state that forbids the use of Redis
/// ```
///
/// It starts open. Only the probe, a background task, closes it: no request has to try whether Redis answers again.
#[derive(Debug)]
pub(super) struct Breaker {
    closed: AtomicBool,
    failures: AtomicU32,
    threshold: u32,
}

impl Breaker {
    pub(super) fn new(threshold: u32) -> Self {
        Self { closed: AtomicBool::new(false), failures: AtomicU32::new(0), threshold: threshold.max(1) }
    }

    /// Returns whether commands may be sent.
    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Relaxed)
    }

    /// Closes the breaker after a successful probe.
    pub(super) fn close(&self) {
        self.failures.store(0, Relaxed);
        self.closed.store(true, Relaxed);
    }

    /// Opens the breaker, because Redis must not be used. Returns whether that changed its state.
    pub(super) fn open(&self) -> bool {
        self.closed.swap(false, Relaxed)
    }

    /// Records that a command was answered, even by an error.
    pub(super) fn answered(&self) {
        if self.failures.load(Relaxed) != 0 {
            self.failures.store(0, Relaxed);
        }
    }

    /// Records that a command was not answered. Returns whether that opened the breaker.
    pub(super) fn failed(&self) -> bool {
        self.failures.fetch_add(1, Relaxed) + 1 >= self.threshold && self.open()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn breaker_opens_at_the_threshold_and_only_the_probe_closes_it() {
        let breaker = Breaker::new(2);
        let is_closed = || breaker.is_closed();
        assert!(!is_closed());
        breaker.close();
        assert!(!breaker.failed() && is_closed());
        breaker.answered();
        assert!(!breaker.failed() && is_closed(), "failures count in a row only");
        assert!(breaker.failed() && !is_closed());
        breaker.answered();
        assert!(!is_closed(), "a late answer does not close it");
        breaker.close();
        assert!(is_closed() && breaker.open() && !is_closed());
        assert!(!breaker.open(), "it is open already");
    }
}
