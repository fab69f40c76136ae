//! The reaction, tried until it is done or refused for good.

use std::future::Future;
use std::panic::AssertUnwindSafe;

use futures_util::FutureExt;
use tokio::time::sleep;
use tracing::error;

use super::backoff::Backoff;
use super::effects::{Aftermath, Effects, Stopped};
use super::plan::Letter;
use super::wire::Entry;
use super::{Position, React, ReactError, Resync};
use crate::Outage;
use crate::contract::Event;
use crate::log::Mark;

impl<R: React> Effects<R> {
    /// Carries out events, for as long as it takes.
    pub(super) async fn apply(
        &mut self,
        mut events: Vec<Event<R::Change>>,
        entries: &[Entry],
        aftermath: &mut Aftermath,
    ) -> Result<(), Stopped> {
        if let Some(seen) = &self.seen {
            let before = events.len();
            events.retain(|event| !seen.has(event.seq, event.event_id));
            self.signs.meter.duplicates.increment((before - events.len()) as u64);
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
        // Not its deliveries: those count broken connections and killed processes, too.
        let (mut attempts, mut backoff) = (1, Backoff::new());
        while attempts < self.max_attempts {
            self.signs.meter.retries.increment(1);
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
        let outage = Outage::new(self.stream, "events wait for something that is away", "events wait no longer");
        loop {
            // On the heap: without optimisation, a reaction on top of its consumer has overflowed a thread's stack.
            match AssertUnwindSafe(Box::pin(self.reaction.apply(events))).catch_unwind().await {
                Ok(Ok(())) => {
                    outage.over();
                    self.done(events);
                    return Ok(Ok(()));
                }
                Ok(Err(ReactError::Unavailable(why))) => outage.failed(why),
                Ok(Err(ReactError::Refused(why))) => return Ok(Err(why)),
                Err(_) => return Ok(Err("the reaction panicked".to_owned())),
            }
            self.signs.meter.retries.increment(1);
            self.rest(&mut backoff).await?;
        }
    }

    /// One attempt. What it does not carry out is lost.
    pub(super) async fn once(&self, events: &[Event<R::Change>]) {
        match AssertUnwindSafe(Box::pin(self.reaction.apply(events))).catch_unwind().await {
            Ok(Ok(())) => {
                self.in_vain.over();
                self.signs.meter.applied(events.iter().map(|event| event.occurred_at));
                events.iter().for_each(|event| self.signs.reached(event.seq));
            }
            failed => {
                let reason = failed.map_or_else(|_| "the reaction panicked".to_owned(), |why| format!("{why:?}"));
                self.in_vain.failed(reason);
                self.signs.meter.lost.increment(events.len() as u64);
            }
        }
    }

    fn done(&mut self, events: &[Event<R::Change>]) {
        self.signs.meter.applied(events.iter().map(|event| event.occurred_at));
        let Some(seen) = &mut self.seen else { return };
        events.iter().for_each(|event| seen.add(event.seq, event.event_id));
        events.iter().for_each(|event| self.signs.reached(event.seq));
    }

    /// Has everything dropped or made anew, for as long as it takes.
    pub(super) async fn resync(&mut self, why: Resync) -> Result<Option<Mark>, Stopped> {
        self.signs.meter.resync(why);
        self.signs.resyncing(true);
        let from = self.until_done("a resync fails", "a resync is done", || self.reaction.resync(why)).await?;
        self.signs.resyncing(false);
        // Where a group is, only the group knows.
        Ok(from.filter(|_| self.seen.is_none()))
    }

    /// Where this service is, if it knows that; asked for as long as it takes.
    pub(super) async fn position(&self) -> Result<Option<Position>, Stopped> {
        self.until_done("the position of this service cannot be read", "the position of this service is read", || {
            self.reaction.position()
        })
        .await
    }

    /// Tells the service that it is past what was set aside, for as long as it takes.
    pub(super) async fn pass(&self, aftermath: &Aftermath) -> Result<(), Stopped> {
        let numbers: Vec<u64> = aftermath.letters.iter().filter_map(Letter::number).collect();
        match numbers.is_empty() || aftermath.from.is_some() {
            true => Ok(()),
            false => {
                let (failing, recovered) =
                    ("events that were set aside cannot be noted", "events that were set aside are noted");
                self.until_done(failing, recovered, || self.reaction.pass(&numbers)).await
            }
        }
    }

    /// Tells the service that nothing up to `until` is to be had any more, for as long as it takes.
    pub(super) async fn skip(&self, until: u64) -> Result<(), Stopped> {
        self.until_done("lost events cannot be noted", "lost events are noted", || self.reaction.skip(until)).await
    }

    async fn until_done<T, F>(
        &self,
        failing: &'static str,
        recovered: &'static str,
        attempt: impl Fn() -> F,
    ) -> Result<T, Stopped>
    where
        F: Future<Output = Result<T, ReactError>>,
    {
        let mut backoff = Backoff::new();
        let outage = Outage::new(self.stream, failing, recovered);
        loop {
            let reason = match AssertUnwindSafe(attempt()).catch_unwind().await {
                Ok(Ok(done)) => {
                    outage.over();
                    return Ok(done);
                }
                Ok(Err(error)) => error.to_string(),
                Err(_) => "a panic, reported above".to_owned(),
            };
            outage.failed(reason);
            self.signs.meter.retries.increment(1);
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
