//! Applies a batch with the event handler, and collects what remains to be done afterwards.

use tracing::warn;

use super::backfill::{Backfill, BackfillResult, DuringLogOutage};
use super::handler::{EventHandler, Resync};
use super::plan::{Step, plan};
use super::retry::{BatchOutcome, Retry};
use super::session::{SessionEnd, Stopped};
use super::stream::{Entry, StreamReader};
use crate::log::EventLog;

pub(super) struct Effects<R> {
    pub(super) retry: Retry<R>,
    /// The log from which missing events are fetched.
    pub(super) log: EventLog,
    /// The stream for dead letters.
    pub(super) dead_letters: String,
}

impl<R: EventHandler> Effects<R> {
    /// Applies the events of `entries`. `floor` and `first_seq` are those of [`plan`]. Missing events that are
    /// unavailable cause [`Resync::Gap`].
    pub(super) async fn apply(
        &mut self, entries: &[Entry], floor: Option<u64>, first_seq: u64, during_log_outage: DuringLogOutage,
    ) -> Result<BatchOutcome, Stopped> {
        let mut outcome = BatchOutcome::default();
        self.retry.monitor.meter.received.increment(entries.len() as u64);
        for step in plan(entries, self.retry.source.types, floor, first_seq) {
            match step {
                Step::Apply(events) => self.retry.apply(events, entries, &mut outcome).await?,
                Step::SetAside(letter) => outcome.set_aside(letter),
                Step::Fetch(after, until) => {
                    self.retry.monitor.meter.gaps.increment(1);
                    let backfilled = match after {
                        Some(after) => self.backfill(&mut outcome).events(after, until, during_log_outage).await?,
                        None => BackfillResult::Missing,
                    };
                    if backfilled == BackfillResult::Missing {
                        warn!(?after, until, "events are missing, and the event log no longer has them");
                        outcome.from = self.retry.resync(Resync::Gap).await?;
                        self.retry.skip(until).await?;
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

    /// Returns access to the log, for events whose results are added to `outcome`.
    pub(super) fn backfill<'a>(&'a mut self, outcome: &'a mut BatchOutcome) -> Backfill<'a, R> {
        Backfill { retry: &mut self.retry, log: &self.log, outcome }
    }

    /// Resyncs if a dead letter stands for an event that the effects lack.
    pub(super) async fn resync_after_loss(&mut self, outcome: &mut BatchOutcome) -> Result<(), Stopped> {
        if outcome.loses_data() && outcome.from.is_none() {
            outcome.from = self.retry.resync(Resync::LostEvent).await?;
        }
        Ok(())
    }

    /// Writes the dead letters, if there is a stream, and only then advances the service past them.
    pub(super) async fn write(&self, stream: Option<&StreamReader>, outcome: &BatchOutcome) -> Result<(), SessionEnd> {
        for letter in &outcome.dead_letters {
            if let Some(stream) = stream {
                stream.dead_letter(&self.dead_letters, letter.fields(self.retry.source.stream)).await?;
            }
            self.retry.monitor.meter.dead_letter(letter.reason);
        }
        Ok(self.retry.skip_dead_letters(outcome).await?)
    }
}
