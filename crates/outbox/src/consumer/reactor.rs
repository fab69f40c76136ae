//! Applies the steps of a batch with the event handler, and collects what remains to be done afterwards.

use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::backfill::{BackfillResult, DuringLogOutage};
use super::monitor::ConsumerMonitor;
use super::plan::{DeadLetter, Step};
use super::recent::RecentEvents;
use super::session::SessionEnd;
use super::stream::Stream;
use super::wire::Entry;
use super::{EventHandler, Resync};
use crate::log::{EventLog, LogPosition};
use crate::recurring_failure::RecurringFailure;
use crate::source::EventSource;

/// The consumer was stopped before this was done.
#[derive(Debug)]
pub(super) struct Stopped;

/// What remains to be done after a batch.
#[derive(Debug, Default)]
pub(super) struct BatchOutcome {
    /// The dead letters to write before the consumer acknowledges the batch.
    pub(super) dead_letters: Vec<DeadLetter>,
    /// The position that a [`Resync`] has set: no event after it was applied.
    pub(super) from: Option<LogPosition>,
}

impl BatchOutcome {
    /// Adds a dead letter. There is one for each event, even if both the stream and the log have an unreadable copy.
    pub(super) fn set_aside(&mut self, letter: DeadLetter) {
        match self.dead_letters.iter_mut().find(|known| known.id == letter.id) {
            Some(known) => known.loses_data |= letter.loses_data,
            None => self.dead_letters.push(letter),
        }
    }
}

/// The event handler, and the state of its consumer.
pub(super) struct Reactor<R> {
    pub(super) handler: R,
    pub(super) source: EventSource,
    pub(super) log: EventLog,
    pub(super) monitor: ConsumerMonitor,
    pub(super) stop: CancellationToken,
    /// A refused event becomes a dead letter after this many attempts.
    pub(super) max_attempts: u64,
    /// The failure to apply Pub/Sub messages, which are not retried.
    pub(super) apply_failure: RecurringFailure,
    /// The recently applied events. If `None`, the caller prevents duplicates and knows the position.
    pub(super) applied: Option<RecentEvents>,
}

impl<R: EventHandler> Reactor<R> {
    /// Applies the steps of a batch. Missing events that are unavailable cause [`Resync::Gap`].
    pub(super) async fn apply_steps(
        &mut self,
        steps: Vec<Step<R::Data>>,
        entries: &[Entry],
        during_log_outage: DuringLogOutage,
    ) -> Result<BatchOutcome, Stopped> {
        let mut outcome = BatchOutcome::default();
        for step in steps {
            match step {
                Step::Apply(events) => self.apply(events, entries, &mut outcome).await?,
                Step::SetAside(letter) => outcome.set_aside(letter),
                Step::Fetch(after, until) => {
                    self.monitor.meter.gaps.increment(1);
                    let backfilled = match after {
                        Some(after) => self.backfill(after, until, during_log_outage, &mut outcome).await?,
                        None => BackfillResult::Missing,
                    };
                    if backfilled == BackfillResult::Missing {
                        warn!(?after, until, "events are missing, and the event log no longer has them");
                        outcome.from = self.resync(Resync::Gap).await?;
                        self.skip(until).await?;
                    }
                }
            }
            if outcome.from.is_some() {
                break;
            }
        }
        self.resync_after_loss(&mut outcome).await?;
        Ok(outcome)
    }

    /// Resyncs if a dead letter stands for an event that the effects lack.
    pub(super) async fn resync_after_loss(&mut self, outcome: &mut BatchOutcome) -> Result<(), Stopped> {
        if outcome.dead_letters.iter().any(|letter| letter.loses_data) && outcome.from.is_none() {
            outcome.from = self.resync(Resync::LostEvent).await?;
        }
        Ok(())
    }

    /// Writes the dead letters, and only then advances the service past them.
    pub(super) async fn write(
        &self,
        stream: &Stream,
        dead_letters: &str,
        outcome: &BatchOutcome,
    ) -> Result<(), SessionEnd> {
        for letter in &outcome.dead_letters {
            stream.dead_letter(dead_letters, letter.fields(self.source.stream)).await?;
            self.monitor.meter.dead_letter(letter.reason);
        }
        Ok(self.skip_dead_letters(outcome).await?)
    }
}
