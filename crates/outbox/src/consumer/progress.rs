//! When a consumer was last known to have applied every event, and whether that is too long ago.
//!
//! A connection proves nothing: Redis may refuse the reads of a connected consumer, or the event handler may fail again
//! and again. Only progress counts. Once a second, the consumer asks the stream and the log for the newest event. As
//! soon as the consumer has applied everything up to that event, it is *verified* as of the moment before the question.

use std::collections::VecDeque;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, watch};
use tokio::time::timeout;

use super::settings::ConsumerSettings;
use crate::event::EventSource;

/// How often a waiting reader asks how far the group is.
const ASK_AGAIN: Duration = Duration::from_millis(5);

/// Whether the data that a service derives from events is current. It exists before its consumer does. Cheap to clone.
#[derive(Clone, Debug)]
pub struct EventProgress {
    stream: &'static str,
    limit: Duration,
    consumer: Arc<OnceLock<Followed>>,
}

/// What a progress knows of its consumer.
#[derive(Clone, Debug)]
pub struct Followed {
    pub(super) status: watch::Receiver<ConsumerStatus>,
    /// Makes the consumer ask now how far its group is.
    pub(super) ask: Arc<Notify>,
}

/// Why the data that a service derives from events may be outdated. The messages are suitable for public responses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProgressError {
    /// The consumer has not reached the end of the stream since it started.
    #[error("the events of {0} have not been read to their end yet")]
    NotYet(&'static str),
    /// The consumer last reached the end too long ago.
    #[error("the events of {0} have not been applied up to the newest for more than {1:?}")]
    Overdue(&'static str, Duration),
    /// Redis responds and refuses reads of the stream.
    #[error("Redis denies this service read access to the stream {0}")]
    Refused(&'static str),
    /// The consumer has no connection to read the stream from.
    #[error("the stream {0} cannot be read")]
    Disconnected(&'static str),
}

impl EventProgress {
    /// Creates an unverified progress. It stays unverified until the consumer of `source` that it
    /// [follows](Self::follow) is verified.
    pub fn new(source: EventSource, settings: &ConsumerSettings) -> Self {
        Self { stream: source.stream, limit: settings.stale_after, consumer: Arc::default() }
    }

    /// Follows a consumer ([`Consumer::followed`](super::Consumer::followed)) from now on. Only the first call has an
    /// effect.
    pub fn follow(&self, consumer: Followed) {
        // A second consumer of one stream is not started.
        let _ = self.consumer.set(consumer);
    }

    /// Waits until every event up to `seq` is known to be applied, by this process or by another one of its group, for at
    /// most `within`. Returns whether it is.
    pub async fn applied(&self, seq: u64, within: Duration) -> bool {
        let Some(Followed { status, ask }) = self.consumer.get() else { return false };
        let mut status = status.clone();
        let is_applied = async {
            loop {
                if status.borrow_and_update().applied >= seq {
                    return;
                }
                ask.notify_one();
                // The events of a group may be applied by another process, which does not change this status.
                let _ = timeout(ASK_AGAIN, status.changed()).await;
            }
        };
        timeout(within, is_applied).await.is_ok()
    }

    /// Returns whether, as far as is known, every event that is older than [`ConsumerSettings::stale_after`] is
    /// applied. A consumer whose reads are refused fails at once.
    ///
    /// # Errors
    /// Returns an error if such events are not applied, or if their state is unknown.
    pub fn verified(&self) -> Result<(), ProgressError> {
        self.judge(self.now(), Instant::now())
    }

    /// Returns whether the events are applied, as [`verified`](Self::verified), and whether the stream can be read now.
    /// For a readiness report.
    ///
    /// # Errors
    /// Returns the more important reason if both conditions fail.
    pub fn check_ready(&self) -> Result<(), ProgressError> {
        let status = self.now();
        self.judge(status, Instant::now())?;
        match status.connected {
            true => Ok(()),
            false => Err(ProgressError::Disconnected(self.stream)),
        }
    }

    fn now(&self) -> ConsumerStatus {
        self.consumer.get().map(|consumer| *consumer.status.borrow()).unwrap_or_default()
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

/// The maximum number of remembered checks. The consumer adds one a second, so it may lag by this many seconds and its
/// verified time is still known.
const MOST: usize = 64;

/// The newest event at the time of each check, in the order of the checks.
#[derive(Debug, Default)]
pub(super) struct ProgressChecks {
    open: VecDeque<(Instant, u64)>,
}

impl ProgressChecks {
    /// Adds a check: at `at`, `newest` was the newest event.
    pub(super) fn add(&mut self, at: Instant, newest: u64) {
        if self.open.len() < MOST {
            self.open.push_back((at, newest));
        }
    }

    /// Records that everything up to `done` is applied. Returns the time of the latest check that this completes.
    pub(super) fn reached(&mut self, done: u64) -> Option<Instant> {
        let mut verified = None;
        while let Some((at, _)) = self.open.front().filter(|(_, newest)| *newest <= done) {
            verified = Some(*at);
            self.open.pop_front();
        }
        verified
    }
}

/// The status of a consumer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ConsumerStatus {
    /// Whether the consumer has a connection and reads.
    pub connected: bool,
    /// The highest applied number (with `Log`: the number up to which every event is applied).
    pub position: u64,
    /// The number up to which the group (with `Log`: this process) has applied every event, as last asked.
    pub applied: u64,
    /// The number of events in the stream that no consumer of the group has applied yet.
    pub lag: u64,
    /// Every event from before this moment is applied. `None` until this is known for the first time.
    pub verified: Option<Instant>,
    /// Whether Redis responds and refuses reads, or the last subscription failed. Only set for a group and for a
    /// listener, which have no other source of events.
    pub refused: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn progress() -> EventProgress {
        let settings = ConsumerSettings { stale_after: Duration::from_secs(5), ..ConsumerSettings::default() };
        EventProgress::new(EventSource { stream: "order:events", channel: None, types: &[] }, &settings)
    }

    #[test]
    fn progress_is_unverified_before_the_first_check_and_after_the_limit() {
        let (progress, at) = (progress(), Instant::now());
        let judge = |verified, now| progress.judge(ConsumerStatus { verified, ..ConsumerStatus::default() }, now);
        let limit = Duration::from_secs(5);
        assert_eq!(judge(None, at), Err(ProgressError::NotYet("order:events")));
        assert_eq!(judge(Some(at), at + limit), Ok(()));
        let refused = ConsumerStatus { verified: Some(at), refused: true, ..ConsumerStatus::default() };
        assert_eq!(progress.judge(refused, at), Err(ProgressError::Refused("order:events")));
        let late = judge(Some(at), at + limit + Duration::from_millis(1)).expect_err("it is overdue");
        assert_eq!(
            late.to_string(),
            "the events of order:events have not been applied up to the newest for more than 5s"
        );
        assert!(progress.verified().is_err(), "no consumer is followed");
    }

    #[test]
    fn constantly_lagging_consumer_is_verified_as_of_its_lag() {
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
    fn stalled_consumer_is_not_verified_again() {
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
