//! Leaves Redis alone while it is down, so that its absence costs a read nothing but the database's time.
//!
//! ```text
//! open ──probe answers──▶ closed ──threshold failures in a row, or the connection drops──▶ open
//! ```
//!
//! It starts open. Only the probe, a background task, closes it: no request is ever the guinea pig.

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

    /// Whether Redis may be asked.
    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Relaxed)
    }

    /// The probe succeeded. Returns whether that changed anything.
    pub(crate) fn close(&self) -> bool {
        self.failures.store(0, Relaxed);
        !self.closed.swap(true, Relaxed)
    }

    /// The connection dropped. Returns whether that changed anything.
    pub(crate) fn open(&self) -> bool {
        self.closed.swap(false, Relaxed)
    }

    /// A command was answered, be it by an error.
    pub(crate) fn answered(&self) {
        if self.failures.load(Relaxed) != 0 {
            self.failures.store(0, Relaxed);
        }
    }

    /// A command was not answered. Returns whether that opened the breaker.
    pub(crate) fn failed(&self) -> bool {
        self.failures.fetch_add(1, Relaxed) + 1 >= self.threshold && self.open()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_opens_after_the_threshold_and_closes_by_the_probe_only() {
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
