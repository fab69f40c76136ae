//! What the stream does not have, from the log.

use serde_json::Value;

use super::React;
use super::backoff::Backoff;
use super::effects::{Aftermath, Effects, Stopped};
use super::plan::parse;
use super::wire::{Body, Entry};
use crate::contract::Event;
use crate::log::{LogError, Mark};

/// How often a log that does not answer is asked, where everything may be dropped instead.
const ATTEMPTS: u32 = 3;

/// What to do about a log that does not answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Patience {
    /// Give up soon: dropping everything is always allowed.
    Short,
    /// Wait for it: nothing may be left out.
    Endless,
}

/// What became of a fetch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fetched {
    /// All of it is carried out.
    Done,
    /// The log does not have all of it, or does not answer.
    Missing,
    /// The log has another history.
    Diverged,
}

/// A page of the log that is carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Page {
    /// Up to here; what was asked for when there is nothing after it.
    pub(super) reached: Mark,
    /// The newest number of all.
    pub(super) head: u64,
}

impl<R: React> Effects<R> {
    /// Carries out what comes after one number, up to another.
    pub(super) async fn fetch(
        &mut self,
        after: u64,
        until: u64,
        patience: Patience,
        aftermath: &mut Aftermath,
    ) -> Result<Fetched, Stopped> {
        let (mut position, mut attempts, mut backoff) = (after, 0, Backoff::new());
        while position < until {
            match self.page(position.into(), until, aftermath).await? {
                Ok(page) if page.reached.seq > position => position = page.reached.seq,
                // The log ends before, or has a hole itself.
                Ok(_) | Err(LogError::Pruned(_) | LogError::Diverged(_)) => return Ok(Fetched::Missing),
                Err(LogError::Unavailable(why)) => {
                    attempts += 1;
                    if patience == Patience::Short && attempts == ATTEMPTS {
                        tracing::warn!(reason = %why, "the log does not answer");
                        return Ok(Fetched::Missing);
                    }
                    self.signs.meter.retries.increment(1);
                    self.rest(&mut backoff).await?;
                }
            }
        }
        Ok(Fetched::Done)
    }

    /// Carries out everything that comes after a number. Returns how far that was.
    pub(super) async fn catch_up(
        &mut self,
        after: Mark,
        aftermath: &mut Aftermath,
    ) -> Result<(Mark, Fetched), Stopped> {
        let (mut position, mut attempts, mut backoff) = (after, 0, Backoff::new());
        loop {
            match self.page(position, u64::MAX, aftermath).await? {
                Ok(page) if page.reached == position => return Ok((position, Fetched::Done)),
                Ok(page) => position = page.reached,
                Err(LogError::Pruned(_)) => return Ok((position, Fetched::Missing)),
                Err(LogError::Diverged(_)) => return Ok((position, Fetched::Diverged)),
                Err(LogError::Unavailable(_)) if attempts + 1 == ATTEMPTS => return Ok((position, Fetched::Missing)),
                Err(LogError::Unavailable(_)) => {
                    attempts += 1;
                    self.rest(&mut backoff).await?;
                }
            }
        }
    }

    /// Carries out one page of the log.
    pub(super) async fn page(
        &mut self,
        after: Mark,
        until: u64,
        aftermath: &mut Aftermath,
    ) -> Result<Result<Page, LogError>, Stopped> {
        let page = match self.log.after(after).await {
            Ok(page) => page,
            Err(error) => return Ok(Err(error)),
        };
        let head = page.head;
        let (mut position, mut epoch) = (after.seq, after.epoch);
        let (mut events, mut entries) = (Vec::new(), Vec::new());
        for value in page.events {
            let seq = value.get("seq").and_then(Value::as_u64);
            if seq != Some(position + 1) || position == until {
                break;
            }
            position += 1;
            let entry = entry(position, &value);
            epoch = entry.epoch().or(epoch);
            match parse::<R::Change>(&entry) {
                Ok(event) => events.push(event),
                Err(letter) => {
                    self.flush(&mut events, &entries, aftermath).await?;
                    letter.into_iter().for_each(|letter| aftermath.set_aside(letter));
                }
            }
            entries.push(entry);
        }
        self.flush(&mut events, &entries, aftermath).await?;
        Ok(Ok(Page { reached: Mark { seq: position, epoch }, head }))
    }

    async fn flush(
        &mut self,
        events: &mut Vec<Event<R::Change>>,
        entries: &[Entry],
        aftermath: &mut Aftermath,
    ) -> Result<(), Stopped> {
        self.apply(std::mem::take(events), entries, aftermath).await
    }
}

/// An event of the log as it would stand in the stream.
fn entry(seq: u64, event: &Value) -> Entry {
    Entry { id: format!("{seq}-0"), seq, before: None, body: Body::Event(event.to_string().into_bytes()) }
}
