//! Barriers: the proof that every push that Redis sent before a certain moment has been applied.
//!
//! ```text
//! t0 ─ GET sentinel, register, SET sentinel n ──▶ Redis
//!      ◀── the previous number, "registered", OK, push: "sentinel changed"
//! verified: the lease lasts until t0 + bound
//! ```
//!
//! The push comes back over the same connection, behind the pushes of all changes before it. The previous number shows
//! that Redis still tracked the sentinel, and with it every other key: a flush or another dataset would have lost it.

use std::time::Instant;

use bytes::Bytes;

use crate::near::clock_ns;

/// One barrier in progress. There is never more than one.
#[derive(Debug)]
pub(super) struct Barrier {
    /// When it began, on the clock of the lease.
    pub(super) began_ns: u64,
    pub(super) began: Instant,
    number: u64,
    /// The number that Redis returned is the one before.
    is_continuous: bool,
    is_pushed: bool,
    /// Replies that have not arrived yet.
    missing: u8,
    /// Whether it registers this process, so that it may be waited for.
    pub(super) registers: bool,
}

impl Barrier {
    pub(super) fn begin(number: u64, registers: bool) -> Self {
        let missing = if registers { 3 } else { 2 };
        let began_ns = clock_ns();
        Self { began_ns, began: Instant::now(), number, is_continuous: false, is_pushed: false, missing, registers }
    }

    /// Returns the value that it writes.
    pub(super) fn value(&self) -> String {
        self.number.to_string()
    }

    /// Records the value before. Returns whether pushes may have been lost.
    pub(super) fn found(&mut self, before: Option<&Bytes>) -> bool {
        self.missing -= 1;
        let expected = (self.number > 1).then(|| (self.number - 1).to_string());
        self.is_continuous = before.map(|value| &**value) == expected.as_deref().map(str::as_bytes);
        !self.is_continuous
    }

    /// Records the reply of another of its commands.
    pub(super) fn answered(&mut self) {
        self.missing -= 1;
    }

    /// Records the push of the sentinel.
    pub(super) fn pushed(&mut self) {
        self.is_pushed = true;
    }

    pub(super) fn is_verified(&self) -> bool {
        self.is_continuous && self.is_pushed && self.missing == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn barrier_needs_all_replies_the_push_and_the_number_before() {
        for (before, is_pushed, all_replies) in [
            (Some("4"), true, true),
            (Some("3"), true, true),
            (None, true, true),
            (Some("4"), false, true),
            (Some("4"), true, false),
        ] {
            let mut barrier = Barrier::begin(5, false);
            let lost = barrier.found(before.map(Bytes::from).as_ref());
            assert_eq!(lost, before != Some("4"));
            if all_replies {
                barrier.answered();
            }
            if is_pushed {
                barrier.pushed();
            }
            assert_eq!(barrier.is_verified(), before == Some("4") && is_pushed && all_replies);
        }
        assert!(!Barrier::begin(1, false).found(None), "the first one finds nothing");
        assert!(Barrier::begin(1, false).found(Some(&"7".into())), "a sentinel of another connection");
    }
}
