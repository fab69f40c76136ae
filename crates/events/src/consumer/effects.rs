//! What a reaction is asked for, step by step, and what is left to do after it.

use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::monitor::Signs;
use super::plan::{Letter, Step};
use super::repair::{Fetched, Patience};
use super::seen::Seen;
use super::session::Trouble;
use super::stream::Stream;
use super::wire::Entry;
use super::{React, Resync};
use crate::Outage;
use crate::log::{EventLog, Mark};

/// The consumer was told to stop before this was done.
#[derive(Debug)]
pub(super) struct Stopped;

/// What a reaction has left to do.
#[derive(Debug, Default)]
pub(super) struct Aftermath {
    /// To be written before anything is acknowledged.
    pub(super) letters: Vec<Letter>,
    /// Where a [`Resync`] has set the position anew: nothing after it was carried out.
    pub(super) from: Option<Mark>,
}

impl Aftermath {
    /// One letter for one event, though both the stream and the log may have a copy that cannot be read.
    pub(super) fn set_aside(&mut self, letter: Letter) {
        match self.letters.iter_mut().find(|known| known.id == letter.id) {
            Some(known) => known.harms |= letter.harms,
            None => self.letters.push(letter),
        }
    }
}

/// A reaction, and what it has done.
pub(super) struct Effects<R> {
    pub(super) reaction: R,
    pub(super) stream: &'static str,
    pub(super) log: EventLog,
    pub(super) signs: Signs,
    pub(super) stop: CancellationToken,
    /// After so many a refused event is set aside.
    pub(super) max_attempts: u64,
    /// What is heard once and cannot be carried out.
    pub(super) in_vain: Outage,
    /// Without it, whoever calls sees to it that nothing comes twice, and knows the position.
    pub(super) seen: Option<Seen>,
}

impl<R: React> Effects<R> {
    /// Carries out a slice. What is missing and is not to be had means [`Resync::Gap`].
    pub(super) async fn carry_out(
        &mut self,
        steps: Vec<Step<R::Change>>,
        entries: &[Entry],
        patience: Patience,
    ) -> Result<Aftermath, Stopped> {
        let mut aftermath = Aftermath::default();
        for step in steps {
            match step {
                Step::Apply(events) => self.apply(events, entries, &mut aftermath).await?,
                Step::SetAside(letter) => aftermath.set_aside(letter),
                Step::Fetch(after, until) => {
                    self.signs.meter.gaps.increment(1);
                    let fetched = match after {
                        Some(after) => self.fetch(after, until, patience, &mut aftermath).await?,
                        None => Fetched::Missing,
                    };
                    if fetched == Fetched::Missing {
                        warn!(?after, until, "events are missing and the log does not have them");
                        aftermath.from = self.resync(Resync::Gap).await?;
                        self.skip(until).await?;
                    }
                }
            }
            if aftermath.from.is_some() {
                break;
            }
        }
        self.poison(&mut aftermath).await?;
        Ok(aftermath)
    }

    /// Has everything made anew where a letter stands for something that is missing now.
    pub(super) async fn poison(&mut self, aftermath: &mut Aftermath) -> Result<(), Stopped> {
        if aftermath.letters.iter().any(|letter| letter.harms) && aftermath.from.is_none() {
            aftermath.from = self.resync(Resync::Poison).await?;
        }
        Ok(())
    }

    /// Writes dead letters; only then is the service past them.
    pub(super) async fn write(&self, stream: &Stream, letters: &str, aftermath: &Aftermath) -> Result<(), Trouble> {
        for letter in &aftermath.letters {
            stream.dead_letter(letters, letter.fields(self.stream)).await?;
            self.signs.meter.dead_letter(letter.reason);
        }
        Ok(self.pass(aftermath).await?)
    }
}
