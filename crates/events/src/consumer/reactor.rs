//! What a reaction is asked for, step by step, and what is left to do after it.

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
use crate::RecurringFailure;
use crate::log::{EventLog, LogPosition};

/// The consumer was told to stop before this was done.
#[derive(Debug)]
pub(super) struct Stopped;

/// What a reaction has left to do.
#[derive(Debug, Default)]
pub(super) struct BatchOutcome {
    /// To be written before anything is acknowledged.
    pub(super) dead_letters: Vec<DeadLetter>,
    /// Where a [`Resync`] has set the position anew: nothing after it was carried out.
    pub(super) from: Option<LogPosition>,
}

impl BatchOutcome {
    /// One letter for one event, though both the stream and the log may have a copy that cannot be read.
    pub(super) fn set_aside(&mut self, letter: DeadLetter) {
        match self.dead_letters.iter_mut().find(|known| known.id == letter.id) {
            Some(known) => known.loses_data |= letter.loses_data,
            None => self.dead_letters.push(letter),
        }
    }
}

/// A reaction, and what it has done.
pub(super) struct Reactor<R> {
    pub(super) handler: R,
    pub(super) stream: &'static str,
    pub(super) log: EventLog,
    pub(super) monitor: ConsumerMonitor,
    pub(super) stop: CancellationToken,
    /// After so many a refused event is set aside.
    pub(super) max_attempts: u64,
    /// What is heard once and cannot be carried out.
    pub(super) apply_failure: RecurringFailure,
    /// Without it, whoever calls sees to it that nothing comes twice, and knows the position.
    pub(super) applied: Option<RecentEvents>,
}

impl<R: EventHandler> Reactor<R> {
    /// Carries out a slice. What is missing and is not to be had means [`Resync::Gap`].
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
                        warn!(?after, until, "events are missing and the log does not have them");
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

    /// Has everything made anew where a letter stands for something that is missing now.
    pub(super) async fn resync_after_loss(&mut self, outcome: &mut BatchOutcome) -> Result<(), Stopped> {
        if outcome.dead_letters.iter().any(|letter| letter.loses_data) && outcome.from.is_none() {
            outcome.from = self.resync(Resync::LostEvent).await?;
        }
        Ok(())
    }

    /// Writes dead letters; only then is the service past them.
    pub(super) async fn write(
        &self,
        stream: &Stream,
        dead_letters: &str,
        outcome: &BatchOutcome,
    ) -> Result<(), SessionEnd> {
        for letter in &outcome.dead_letters {
            stream.dead_letter(dead_letters, letter.fields(self.stream)).await?;
            self.monitor.meter.dead_letter(letter.reason);
        }
        Ok(self.skip_dead_letters(outcome).await?)
    }
}
