//! Fetches events from the log that the stream does not have.

use serde_json::Value;

use super::handler::EventHandler;
use super::plan::parse;
use super::retry::{BatchOutcome, Retry};
use super::session::Stopped;
use super::stream::{Body, Entry};
use crate::backoff::Backoff;
use crate::event::Event;
use crate::log::{EventLog, LogError, LogPosition};

/// The number of requests to an unresponsive log after which the consumer gives up, if a resync is allowed instead.
const ATTEMPTS: u32 = 3;

/// What to do while the log does not respond.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DuringLogOutage {
    /// Give up soon: a resync is always allowed.
    GiveUp,
    /// Wait for the log: no event may be skipped.
    Wait,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BackfillResult {
    /// All missing events are applied.
    Done,
    /// The log does not have all of the events, or does not respond.
    Missing,
    /// The log has another history.
    Diverged,
}

/// An applied page of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Page {
    /// The last applied event; the requested position if the log has nothing after it.
    pub(super) reached: LogPosition,
    /// The number of the newest event in the log.
    pub(super) head: u64,
}

/// Access to the log during a batch.
pub(super) struct Backfill<'a, R> {
    pub(super) retry: &'a mut Retry<R>,
    pub(super) log: &'a EventLog,
    pub(super) outcome: &'a mut BatchOutcome,
}

impl<R: EventHandler> Backfill<'_, R> {
    /// Fetches and applies the events after `after`, up to and including `until`.
    pub(super) async fn events(
        &mut self, after: u64, until: u64, during_log_outage: DuringLogOutage,
    ) -> Result<BackfillResult, Stopped> {
        let (mut position, mut attempts, mut backoff) = (after, 0, Backoff::new());
        while position < until {
            match self.page(position.into(), until).await? {
                Ok(page) if page.reached.seq > position => position = page.reached.seq,
                // The log ends before `until`, or has a gap itself.
                Ok(_) | Err(LogError::Pruned(_) | LogError::Diverged(_)) => return Ok(BackfillResult::Missing),
                Err(LogError::Unavailable(why)) => {
                    attempts += 1;
                    if during_log_outage == DuringLogOutage::GiveUp && attempts == ATTEMPTS {
                        tracing::warn!(reason = %why, "the event log does not answer");
                        return Ok(BackfillResult::Missing);
                    }
                    self.retry.monitor.meter.retries.increment(1);
                    self.retry.pause(&mut backoff).await?;
                }
            }
        }
        Ok(BackfillResult::Done)
    }

    /// Fetches and applies all events after a position. Returns the position that it reached.
    pub(super) async fn until_head(&mut self, after: LogPosition) -> Result<(LogPosition, BackfillResult), Stopped> {
        let (mut position, mut attempts, mut backoff) = (after, 0, Backoff::new());
        loop {
            match self.page(position, u64::MAX).await? {
                Ok(page) if page.reached == position => return Ok((position, BackfillResult::Done)),
                Ok(page) => position = page.reached,
                Err(LogError::Pruned(_)) => return Ok((position, BackfillResult::Missing)),
                Err(LogError::Diverged(_)) => return Ok((position, BackfillResult::Diverged)),
                Err(LogError::Unavailable(_)) if attempts + 1 == ATTEMPTS => {
                    return Ok((position, BackfillResult::Missing));
                }
                Err(LogError::Unavailable(_)) => {
                    attempts += 1;
                    self.retry.pause(&mut backoff).await?;
                }
            }
        }
    }

    /// Fetches and applies one page of the log.
    pub(super) async fn page(&mut self, after: LogPosition, until: u64) -> Result<Result<Page, LogError>, Stopped> {
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
            match parse::<R::Data>(&entry, self.retry.source.types) {
                Ok(event) => events.push(event),
                Err(letter) => {
                    self.flush(&mut events, &entries).await?;
                    letter.into_iter().for_each(|letter| self.outcome.set_aside(letter));
                }
            }
            entries.push(entry);
        }
        self.flush(&mut events, &entries).await?;
        Ok(Ok(Page { reached: LogPosition { seq: position, epoch }, head }))
    }

    async fn flush(&mut self, events: &mut Vec<Event<R::Data>>, entries: &[Entry]) -> Result<(), Stopped> {
        self.retry.apply(std::mem::take(events), entries, self.outcome).await
    }
}

/// Converts an event of the log to the entry that it would be in the stream.
fn entry(seq: u64, event: &Value) -> Entry {
    Entry { id: format!("{seq}-0"), seq, before: None, body: Body::Event(event.to_string().into_bytes()) }
}
