//! A recurring failure: logged when it begins, counted while it repeats, and logged again when it ends.

use std::fmt::Display;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tracing::{debug, info, warn};

/// A kind of failure of one task, whose attempts may fail several times a second.
#[derive(Debug)]
pub struct RecurringFailure {
    /// The log message: a statement about the task, such as "the relay cannot append events".
    failing: &'static str,
    recovered: &'static str,
    /// The subject of the task, such as the name of a stream.
    subject: &'static str,
    lasts: Mutex<Option<Lasts>>,
}

#[derive(Clone, Copy, Debug)]
struct Lasts {
    since: Instant,
    failures: u64,
}

impl RecurringFailure {
    /// Creates the state without a failure. `failing` and `recovered` are the log messages, and `subject` is a field of
    /// both.
    pub fn new(subject: &'static str, failing: &'static str, recovered: &'static str) -> Self {
        Self { failing, recovered, subject, lasts: Mutex::default() }
    }

    /// Records a failed attempt. Only the first one is logged as a warning.
    pub fn failed(&self, reason: impl Display) {
        let mut lasts = self.lasts.lock().unwrap_or_else(PoisonError::into_inner);
        match &mut *lasts {
            Some(lasts) => {
                lasts.failures += 1;
                debug!(%reason, subject = self.subject, failures = lasts.failures, "{}", self.failing);
            }
            none => {
                warn!(%reason, subject = self.subject, "{}; repetitions are counted, not logged", self.failing);
                *none = Some(Lasts { since: Instant::now(), failures: 1 });
            }
        }
    }

    /// Records a successful attempt. Returns how many attempts had failed before it, and for how long.
    pub fn recovered(&self) -> Option<(u64, Duration)> {
        let ended = self.lasts.lock().unwrap_or_else(PoisonError::into_inner).take()?;
        let lasted = ended.since.elapsed();
        let lasted_ms = u64::try_from(lasted.as_millis()).unwrap_or(u64::MAX);
        info!(subject = self.subject, failures = ended.failures, lasted_ms, "{}", self.recovered);
        Some((ended.failures, lasted))
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
}
