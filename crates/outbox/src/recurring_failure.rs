//! A recurring failure: logged when it begins, counted while it repeats, and logged again when it ends.
//!
//! A failure that comes and goes is logged once per [`LOG_INTERVAL`] at most.

use std::fmt::Display;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tracing::{debug, info, warn};

/// The minimum time between two reports of a failure that comes and goes.
const LOG_INTERVAL: Duration = Duration::from_secs(10);

/// A kind of failure of one task, whose attempts may fail several times a second.
#[derive(Debug)]
pub struct RecurringFailure {
    /// The log message: a statement about the task, such as "the relay cannot append events".
    failing: &'static str,
    recovered: &'static str,
    /// The subject of the task, such as the name of a stream.
    subject: &'static str,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    lasts: Option<Lasts>,
    /// When a failure was last logged as a warning.
    reported_at: Option<Instant>,
}

#[derive(Clone, Copy, Debug)]
struct Lasts {
    since: Instant,
    failures: u64,
    is_reported: bool,
}

impl RecurringFailure {
    /// Creates the state without a failure. `failing` and `recovered` are the log messages, and `subject` is a field of
    /// both.
    pub fn new(subject: &'static str, failing: &'static str, recovered: &'static str) -> Self {
        Self { failing, recovered, subject, state: Mutex::default() }
    }

    /// Records a failed attempt. The first one is logged as a warning, unless one was logged a moment ago.
    pub fn failed(&self, reason: impl Display) {
        if self.is_to_report(Instant::now()) {
            warn!(%reason, subject = self.subject, "{}; repetitions are counted, not logged", self.failing);
        } else {
            debug!(%reason, subject = self.subject, "{}", self.failing);
        }
    }

    /// Records a successful attempt. Returns how many attempts had failed before it, and for how long.
    pub fn recovered(&self) -> Option<(u64, Duration)> {
        let ended = self.state.lock().unwrap_or_else(PoisonError::into_inner).lasts.take()?;
        let lasted = ended.since.elapsed();
        let lasted_ms = u64::try_from(lasted.as_millis()).unwrap_or(u64::MAX);
        if ended.is_reported {
            info!(subject = self.subject, failures = ended.failures, lasted_ms, "{}", self.recovered);
        }
        Some((ended.failures, lasted))
    }

    fn is_to_report(&self, now: Instant) -> bool {
        let State { lasts, reported_at } = &mut *self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let lasts = lasts.get_or_insert(Lasts { since: now, failures: 0, is_reported: false });
        lasts.failures += 1;
        let rests = reported_at.is_some_and(|at| now.saturating_duration_since(at) < LOG_INTERVAL);
        if lasts.is_reported || rests {
            return false;
        }
        (lasts.is_reported, *reported_at) = (true, Some(now));
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_counted_until_the_outage_ends() {
        let outage = RecurringFailure::new("stream", "it fails", "it works again");
        assert_eq!(outage.recovered(), None);
        for _ in 0..3 {
            outage.failed("no answer");
        }
        assert_eq!(outage.recovered().map(|(failures, _)| failures), Some(3));
        assert_eq!(outage.recovered(), None, "it is over once");
        outage.failed("no answer");
        assert_eq!(outage.recovered().map(|(failures, _)| failures), Some(1), "the next outage begins anew");
    }

    #[test]
    fn failure_that_comes_and_goes_is_logged_once_per_interval() {
        let (outage, begin) = (RecurringFailure::new("stream", "it fails", "it works again"), Instant::now());
        let mut reports = 0;
        for tenth in 0..1_000 {
            reports += u32::from(outage.is_to_report(begin + tenth * LOG_INTERVAL / 100));
            outage.recovered();
        }
        assert_eq!(reports, 10);
    }

    #[test]
    fn failure_that_begins_soon_after_another_one_and_lasts_is_logged() {
        let (outage, begin) = (RecurringFailure::new("stream", "it fails", "it works again"), Instant::now());
        assert!(outage.is_to_report(begin));
        outage.recovered();
        assert!(!outage.is_to_report(begin + LOG_INTERVAL / 2));
        assert!(outage.is_to_report(begin + LOG_INTERVAL), "it lasts");
        assert!(!outage.is_to_report(begin + 3 * LOG_INTERVAL), "it was logged");
    }
}
