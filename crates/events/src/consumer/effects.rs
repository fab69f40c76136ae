//! The reaction, tried until it is done.

use std::panic::AssertUnwindSafe;

use futures_util::FutureExt;
use tokio::sync::watch;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::{error, warn};

use super::backoff::Backoff;
use super::meter::Meter;
use super::plan::{Letter, Step};
use super::repair::{Fetched, Patience};
use super::seen::Seen;
use super::wire::Entry;
use super::{ConsumerSettings, ConsumerStatus, React, ReactError, Resync};
use crate::Source;
use crate::contract::Event;
use crate::log::EventLog;

/// The consumer was told to stop before this was done.
#[derive(Debug)]
pub(super) struct Stopped;

/// What a reaction has left to do.
#[derive(Debug, Default)]
pub(super) struct Aftermath {
    /// To be written before anything is acknowledged.
    pub(super) letters: Vec<Letter>,
    /// Where a [`Resync`] has set the position anew: nothing after it was carried out.
    pub(super) from: Option<u64>,
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
    reaction: R,
    pub(super) stream: &'static str,
    pub(super) log: EventLog,
    pub(super) meter: Meter,
    pub(super) status: watch::Sender<ConsumerStatus>,
    pub(super) stop: CancellationToken,
    max_attempts: u64,
    /// Without it, whoever calls sees to it that nothing comes twice.
    seen: Option<Seen>,
}

impl<R: React> Effects<R> {
    /// What `reaction` does to a service; `remembers` those that it has done.
    pub(super) fn new(
        (settings, reaction): (&ConsumerSettings, R),
        (source, log): (Source, EventLog),
        group: &'static str,
        status: watch::Sender<ConsumerStatus>,
        stop: CancellationToken,
        seen: Option<Seen>,
    ) -> Self {
        let meter = Meter::new(source.stream, group);
        let max_attempts = u64::from(settings.max_attempts.max(1));
        Self { reaction, stream: source.stream, log, meter, status, stop, max_attempts, seen }
    }

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
                    self.meter.gaps.increment(1);
                    let fetched = match after {
                        Some(after) => self.fetch(after, until, patience, &mut aftermath).await?,
                        None => Fetched::Missing,
                    };
                    if fetched == Fetched::Missing {
                        warn!(?after, until, "events are missing and the log does not have them");
                        aftermath.from = self.resync(Resync::Gap).await?;
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

    /// Carries out events, for as long as it takes.
    pub(super) async fn apply(
        &mut self,
        mut events: Vec<Event<R::Change>>,
        entries: &[Entry],
        aftermath: &mut Aftermath,
    ) -> Result<(), Stopped> {
        if let Some(seen) = &self.seen {
            let before = events.len();
            events.retain(|event| !seen.has(event.seq));
            self.meter.duplicates.increment((before - events.len()) as u64);
        }
        if events.is_empty() {
            return Ok(());
        }
        let Err(why) = self.attempt(&events).await? else { return Ok(()) };
        if events.len() == 1 {
            return self.insist(&events[0], why, entries, aftermath).await;
        }
        // One of them is refused. The others are not to suffer for it.
        for event in &events {
            if let Err(why) = self.attempt(std::slice::from_ref(event)).await? {
                self.insist(event, why, entries, aftermath).await?;
            }
        }
        Ok(())
    }

    /// Tries a refused event again, and sets it aside in the end.
    async fn insist(
        &mut self,
        event: &Event<R::Change>,
        mut why: String,
        entries: &[Entry],
        aftermath: &mut Aftermath,
    ) -> Result<(), Stopped> {
        let entry = entries.iter().find(|entry| entry.seq == event.seq);
        // What was delivered before and not acknowledged has been tried before.
        let mut attempts = entry.map_or(1, |entry| entry.deliveries.max(1));
        let mut backoff = Backoff::new();
        while attempts < self.max_attempts {
            self.meter.retries.increment(1);
            self.rest(&mut backoff).await?;
            match self.attempt(std::slice::from_ref(event)).await? {
                Ok(()) => return Ok(()),
                Err(again) => why = again,
            }
            attempts += 1;
        }
        error!(seq = event.seq, reason = %why, "an event is refused; it becomes a dead letter");
        if let Some(entry) = entry {
            aftermath.set_aside(Letter::refused(entry, why));
        }
        Ok(())
    }

    /// One attempt, repeated while something is away. The error is why the events are refused.
    async fn attempt(&mut self, events: &[Event<R::Change>]) -> Result<Result<(), String>, Stopped> {
        let mut backoff = Backoff::new();
        let mut told = false;
        loop {
            match AssertUnwindSafe(self.reaction.apply(events)).catch_unwind().await {
                Ok(Ok(())) => {
                    self.done(events);
                    return Ok(Ok(()));
                }
                Ok(Err(ReactError::Unavailable(why))) => {
                    if !std::mem::replace(&mut told, true) {
                        warn!(reason = %why, "events wait for something that is away");
                    }
                }
                Ok(Err(ReactError::Refused(why))) => return Ok(Err(why)),
                Err(_) => return Ok(Err("the reaction panicked".to_owned())),
            }
            self.meter.retries.increment(1);
            self.rest(&mut backoff).await?;
        }
    }

    /// One attempt. What it does not carry out is lost.
    pub(super) async fn once(&self, events: &[Event<R::Change>]) {
        match AssertUnwindSafe(self.reaction.apply(events)).catch_unwind().await {
            Ok(Ok(())) => {
                self.meter.applied(events.iter().map(|event| event.occurred_at));
                events.iter().for_each(|event| self.reached(event.seq));
            }
            failed => {
                let reason = failed.map_or_else(|_| "the reaction panicked".to_owned(), |why| format!("{why:?}"));
                warn!(%reason, events = events.len(), "events were heard in vain");
                self.meter.lost.increment(events.len() as u64);
            }
        }
    }

    fn done(&mut self, events: &[Event<R::Change>]) {
        self.meter.applied(events.iter().map(|event| event.occurred_at));
        for event in events {
            if let Some(seen) = &mut self.seen {
                seen.add(event.seq);
            }
            self.reached(event.seq);
        }
    }

    /// Everything up to here is done, as far as this process has to do with it.
    pub(super) fn reached(&self, seq: u64) {
        self.status.send_if_modified(|status| {
            let further = seq > status.position;
            status.position = status.position.max(seq);
            further
        });
    }

    /// Has everything dropped or made anew, for as long as it takes.
    pub(super) async fn resync(&mut self, why: Resync) -> Result<Option<u64>, Stopped> {
        self.meter.resync(why);
        let mut backoff = Backoff::new();
        loop {
            let reason = match AssertUnwindSafe(self.reaction.resync(why)).catch_unwind().await {
                Ok(Ok(from)) => return Ok(from),
                Ok(Err(error)) => error.to_string(),
                Err(_) => "the reaction panicked".to_owned(),
            };
            warn!(?why, %reason, "a resync has failed; it is tried again");
            self.meter.retries.increment(1);
            self.rest(&mut backoff).await?;
        }
    }

    /// Pauses; or says that it is time to stop.
    pub(super) async fn rest(&self, backoff: &mut Backoff) -> Result<(), Stopped> {
        tokio::select! {
            () = sleep(backoff.pause()) => Ok(()),
            () = self.stop.cancelled() => Err(Stopped),
        }
    }
}
