//! When a consumer was last known to have carried out every event, and whether that is long ago.
//!
//! A connection proves nothing: a consumer may be connected and refused, or a reaction may fail again and again. What
//! counts is progress. Once a second, the consumer asks which event is the newest, of the stream and of the log. As soon
//! as everything up to that one is carried out, the consumer is *verified* as of the moment before the question.

use std::collections::VecDeque;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::{Consumer, ConsumerSettings};
use crate::Source;

/// How a consumer is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ConsumerStatus {
    /// Whether it has a connection and reads.
    pub connected: bool,
    /// The highest number that it has carried out (with `Log`: up to which everything is done).
    pub position: u64,
    /// Events in the stream that nobody of its group has carried out yet.
    pub lag: u64,
    /// Every event from before this moment is carried out. `None` until that is known for the first time.
    pub verified: Option<Instant>,
    /// Whether Redis answers, and refuses to let it read: known of a group, which has no other way to its events.
    pub refused: bool,
}

/// Whether what a service makes of events is current. It exists before its consumer does. Cheap to clone.
#[derive(Clone, Debug)]
pub struct EventProgress {
    stream: &'static str,
    limit: Duration,
    status: Arc<OnceLock<watch::Receiver<ConsumerStatus>>>,
}

/// Why what a service makes of events may be outdated. The texts are for everybody to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProgressError {
    /// It has not read to the end yet, since it was started.
    #[error("the events of {0} have not been read to their end yet")]
    NotYet(&'static str),
    /// It was at the end too long ago.
    #[error("the events of {0} have not been carried out up to the newest for more than {1:?}")]
    Overdue(&'static str, Duration),
    /// Redis answers, and refuses to let it read.
    #[error("Redis refuses to let the stream {0} be read")]
    Refused(&'static str),
    /// It has no connection to read the stream from.
    #[error("the stream {0} cannot be read")]
    Disconnected(&'static str),
}

impl EventProgress {
    /// Unverified, until the consumer of `source` that it [follows](Self::follow) says otherwise.
    pub fn new(source: Source, settings: &ConsumerSettings) -> Self {
        Self { stream: source.stream, limit: settings.stale_after, status: Arc::default() }
    }

    /// From now on, this is about `consumer`. Only the first call counts.
    pub fn follow(&self, consumer: &Consumer) {
        // A second consumer of one stream is not started.
        let _ = self.status.set(consumer.watch());
    }

    /// Whether every event is carried out that is older than [`ConsumerSettings::stale_after`], as far as is known. A consumer that
    /// is refused knows at once that it is cut off.
    ///
    /// # Errors
    /// When it is not, or nobody can say so.
    pub fn verified(&self) -> Result<(), ProgressError> {
        self.judge(self.now(), Instant::now())
    }

    /// The same, and whether the stream can be read just now: for a readiness report.
    ///
    /// # Errors
    /// When something is wrong; the first reason is the one that matters more.
    pub fn check_ready(&self) -> Result<(), ProgressError> {
        let status = self.now();
        self.judge(status, Instant::now())?;
        match status.connected {
            true => Ok(()),
            false => Err(ProgressError::Disconnected(self.stream)),
        }
    }

    fn now(&self) -> ConsumerStatus {
        self.status.get().map(|status| *status.borrow()).unwrap_or_default()
    }

    fn judge(&self, status: ConsumerStatus, now: Instant) -> Result<(), ProgressError> {
        match status.verified {
            None => Err(ProgressError::NotYet(self.stream)),
            Some(_) if status.refused => Err(ProgressError::Refused(self.stream)),
            Some(at) if now.saturating_duration_since(at) > self.limit => {
                Err(ProgressError::Overdue(self.stream, self.limit))
            }
            Some(_) => Ok(()),
        }
    }
}

/// The most ends that are remembered: one a second, so that a consumer may be so many seconds behind and still know since
/// when.
const MOST: usize = 64;

/// Which event was the newest when it was asked, in the order of asking.
#[derive(Debug, Default)]
pub(super) struct ProgressChecks {
    open: VecDeque<(Instant, u64)>,
}

impl ProgressChecks {
    /// When it was asked at `at`, `newest` was the newest event.
    pub(super) fn add(&mut self, at: Instant, newest: u64) {
        if self.open.len() < MOST {
            self.open.push_back((at, newest));
        }
    }

    /// Everything up to `done` is carried out. Returns the latest question that this answers.
    pub(super) fn reached(&mut self, done: u64) -> Option<Instant> {
        let mut verified = None;
        while let Some((at, _)) = self.open.front().filter(|(_, newest)| *newest <= done) {
            verified = Some(*at);
            self.open.pop_front();
        }
        verified
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::PRODUCT_EVENTS;

    fn progress() -> EventProgress {
        let settings = ConsumerSettings { stale_after: Duration::from_secs(5), ..ConsumerSettings::default() };
        EventProgress::new(PRODUCT_EVENTS, &settings)
    }

    #[test]
    fn progress_is_unverified_before_the_first_end_and_after_the_limit() {
        let (progress, at) = (progress(), Instant::now());
        let judge = |verified, now| progress.judge(ConsumerStatus { verified, ..ConsumerStatus::default() }, now);
        let limit = Duration::from_secs(5);
        assert_eq!(judge(None, at), Err(ProgressError::NotYet("product:events")));
        assert_eq!(judge(Some(at), at + limit), Ok(()));
        let refused = ConsumerStatus { verified: Some(at), refused: true, ..ConsumerStatus::default() };
        assert_eq!(progress.judge(refused, at), Err(ProgressError::Refused("product:events")));
        let late = judge(Some(at), at + limit + Duration::from_millis(1)).expect_err("it is overdue");
        assert_eq!(
            late.to_string(),
            "the events of product:events have not been carried out up to the newest for more than 5s"
        );
        assert!(progress.verified().is_err(), "no consumer is followed");
    }

    #[test]
    fn consumer_that_is_always_a_little_behind_is_verified_as_of_a_little_ago() {
        let (mut ends, t0) = (ProgressChecks::default(), Instant::now());
        let at = |second: u64| t0 + Duration::from_secs(second);
        for second in 0..200 {
            ends.add(at(second), 100 * (second + 1));
            let verified = ends.reached((100 * (second + 1)).saturating_sub(250));
            assert_eq!(verified, (second >= 3).then(|| at(second - 3)), "in second {second}");
        }
        assert_eq!(ends.reached(u64::MAX), Some(at(199)));
    }

    #[test]
    fn consumer_that_stands_still_is_not_verified_again() {
        let (mut ends, t0) = (ProgressChecks::default(), Instant::now());
        ends.add(t0, 7);
        assert_eq!(ends.reached(7), Some(t0));
        for second in 1..300 {
            ends.add(t0 + Duration::from_secs(second), 8);
            assert_eq!(ends.reached(7), None);
        }
        assert!(ends.reached(8).is_some());
    }
}
