//! How current a copy of another service's data is, relative to that service's event log.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The freshness of one copy. The service that keeps the copy asks the log for its newest event, about once a second,
/// and records the result.
#[derive(Debug)]
pub struct Freshness {
    /// A copy counts as stale when it was last known to be current longer ago than this.
    stale_after: Duration,
    head: Mutex<Head>,
}

/// The newest event of the log, as far as this process knows.
#[derive(Clone, Copy, Debug, Default)]
struct Head {
    number: u64,
    asked: Option<Instant>,
    /// When the copy last included every event of the log.
    current: Option<Instant>,
}

impl Freshness {
    /// Creates the freshness of a copy of which nothing is known yet.
    pub fn new(stale_after: Duration) -> Self {
        Self { stale_after, head: Mutex::default() }
    }

    /// Records that the newest event of the log had this number at `now`, and that the copy is at `position`.
    pub fn observe_head(&self, number: u64, position: u64, now: Instant) {
        let mut head = self.head.lock().unwrap_or_else(PoisonError::into_inner);
        if position >= number {
            head.current = Some(now);
        } else if position >= head.number && head.asked.is_some() {
            // The copy includes the head of the previous check, so it is behind by at most the time since then.
            head.current = head.current.max(head.asked);
        }
        (head.number, head.asked) = (number, Some(now));
    }

    /// Marks the copy as not current, because the log reports that it belongs to another history, at any
    /// position.
    pub fn mark_not_current(&self) {
        self.head.lock().unwrap_or_else(PoisonError::into_inner).current = None;
    }

    /// Returns the number of events that a copy at `position` is known to lack.
    pub fn lag(&self, position: u64) -> u64 {
        self.now().number.saturating_sub(position)
    }

    /// Returns whether the copy may be behind by more than the limit: the log is unavailable, there is a backlog, or it is
    /// unknown whether events are being applied.
    pub fn is_stale(&self, now: Instant) -> bool {
        self.now().current.is_none_or(|current| now.saturating_duration_since(current) > self.stale_after)
    }

    fn now(&self) -> Head {
        *self.head.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STALE_AFTER: Duration = Duration::from_secs(5);

    #[test]
    fn copy_is_stale_unless_it_was_recently_known_to_be_current() {
        let (copy, t0) = (Freshness::new(STALE_AFTER), Instant::now());
        assert!(copy.is_stale(t0));
        copy.observe_head(7, 7, t0);
        assert_eq!((copy.lag(7), copy.is_stale(t0 + STALE_AFTER)), (0, false));
        assert!(copy.is_stale(t0 + STALE_AFTER + Duration::from_millis(1)));
        let lenient = Freshness::new(2 * STALE_AFTER);
        lenient.observe_head(7, 7, t0);
        assert!(!lenient.is_stale(t0 + 2 * STALE_AFTER));
        copy.observe_head(7, 7, t0 + STALE_AFTER);
        assert!(!copy.is_stale(t0 + STALE_AFTER));
        copy.mark_not_current();
        assert!(copy.is_stale(t0 + STALE_AFTER), "it belongs to another history");
    }

    #[test]
    fn copy_that_keeps_up_is_current_without_the_newest_event() {
        let (copy, t0) = (Freshness::new(STALE_AFTER), Instant::now());
        let at = |second: u64| t0 + Duration::from_secs(second);
        for second in 0..20 {
            copy.observe_head(100 * (second + 1), 100 * second + 50, at(second));
        }
        assert_eq!((copy.lag(1950), copy.is_stale(at(20))), (50, false));
        for second in 20..30 {
            copy.observe_head(100 * (second + 1), 1950, at(second));
        }
        assert!(copy.is_stale(at(29)), "what was the newest long ago is not in it");
    }
}
