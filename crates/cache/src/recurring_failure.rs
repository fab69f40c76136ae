//! A recurring failure, logged in two lines: when it begins, and when it is over, with the number of occurrences.
//!
//! A failure that comes and goes is reported once per [`LOG_INTERVAL`] at most.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Minimum time between two reports of a failure that recurs.
const LOG_INTERVAL: Duration = Duration::from_secs(10);

#[derive(Debug, Default)]
pub(crate) struct RecurringFailure(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// When the failure began; `None` while there is none.
    since: Option<Instant>,
    /// When its begin was last reported (`reported_at`), and whether its end is still to be reported (`is_open`).
    reported_at: Option<Instant>,
    is_open: bool,
    times: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Recovery {
    /// Number of occurrences since an end was last reported.
    pub(crate) times: u64,
    pub(crate) lasted: Duration,
}

impl RecurringFailure {
    /// Records an occurrence. Returns whether to log it.
    pub(crate) fn failed(&self) -> bool {
        self.failed_at(Instant::now())
    }

    /// Records that the failure is over. Returns what to log, if anything.
    pub(crate) fn recovered(&self) -> Option<Recovery> {
        self.over_at(Instant::now())
    }

    fn failed_at(&self, now: Instant) -> bool {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.times += 1;
        state.since.get_or_insert(now);
        let rests =
            state.reported_at.is_some_and(|reported_at| now.saturating_duration_since(reported_at) < LOG_INTERVAL);
        if state.is_open || rests {
            return false;
        }
        (state.is_open, state.reported_at) = (true, Some(now));
        true
    }

    fn over_at(&self, now: Instant) -> Option<Recovery> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let since = state.since.take()?;
        if !std::mem::take(&mut state.is_open) {
            return None;
        }
        let times = std::mem::take(&mut state.times);
        Some(Recovery { times, lasted: now.saturating_duration_since(since) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: Duration = Duration::from_secs(1);

    #[test]
    fn outage_is_logged_once_at_its_begin_and_once_at_its_end() {
        let (outage, begin) = (RecurringFailure::default(), Instant::now());
        assert_eq!(outage.over_at(begin), None, "nothing has happened");
        assert!(outage.failed_at(begin));
        for second in 1..100 {
            assert!(!outage.failed_at(begin + second * S), "it still lasts");
        }
        assert_eq!(outage.over_at(begin + 100 * S), Some(Recovery { times: 100, lasted: 100 * S }));
        assert_eq!(outage.over_at(begin + 101 * S), None, "told once");
        assert!(outage.failed_at(begin + 102 * S), "another one");
    }

    #[test]
    fn recurring_outage_is_logged_once_per_interval() {
        let (outage, begin) = (RecurringFailure::default(), Instant::now());
        let mut lines = 0;
        for tenth in 0..1_000 {
            let now = begin + tenth * S / 10;
            lines += u32::from(outage.failed_at(now)) + u32::from(outage.over_at(now).is_some());
        }
        assert_eq!(lines, 20, "two in ten seconds");
    }
}
