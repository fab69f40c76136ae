//! Calls the event handler until it has applied an event or has finally refused it.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::{error, info};
use uuid::Uuid;

use super::dead_letter::DeadLetter;
use super::handler::{EventHandler, HandlerError, Position, Resync};
use super::monitor::ConsumerMonitor;
use super::session::{Stopped, pause};
use super::stream::Entry;
use crate::backoff::Backoff;
use crate::event::{Event, EventSource};
use crate::event_span::{EventWork, in_traces, mark_failed};
use crate::log::LogPosition;
use crate::recurring_failure::RecurringFailure;

/// Why an event handler that panicked did not apply an event.
const PANICKED: &str = "the event handler panicked";

/// The number of remembered events. If an event is delivered again after this many others, it is applied again.
const REMEMBERED: usize = 65_536;

/// The event handler, and which events it has applied.
pub(super) struct Retry<R> {
    pub(super) handler: R,
    pub(super) source: EventSource,
    pub(super) monitor: ConsumerMonitor,
    pub(super) stop: CancellationToken,
    /// The longest time of one call.
    pub(super) handler_timeout: Duration,
    /// A refused event becomes a dead letter after this many attempts.
    pub(super) max_attempts: u64,
    /// The recently applied events. If `None`, the caller prevents duplicates and knows the position.
    pub(super) applied: Option<RecentEvents>,
    /// Whether the handler is unavailable.
    pub(super) outage: RecurringFailure,
}

/// Returns the state of a handler that is available.
pub(super) fn no_outage(source: EventSource) -> RecurringFailure {
    let (failing, recovered) =
        ("the event handler is unavailable; events wait", "the event handler is available again");
    RecurringFailure::new(source.stream, failing, recovered)
}

impl<R: EventHandler> Retry<R> {
    /// Applies events, without a time limit.
    pub(super) async fn apply(
        &mut self, mut events: Vec<Event<R::Data>>, entries: &[Entry], outcome: &mut BatchOutcome,
    ) -> Result<(), Stopped> {
        if let Some(applied) = &self.applied {
            let before = events.len();
            events.retain(|event| !applied.has(event.seq, event.event_id));
            self.monitor.meter.duplicates.increment((before - events.len()) as u64);
        }
        if events.is_empty() {
            return Ok(());
        }
        let Err(why) = self.apply_until_answered(&events).await? else { return Ok(()) };
        if events.len() == 1 {
            return self.retry_event(&events[0], why, entries, outcome).await;
        }
        // The handler refuses one of the events. The others must not be affected.
        for event in &events {
            if let Err(why) = self.apply_until_answered(std::slice::from_ref(event)).await? {
                self.retry_event(event, why, entries, outcome).await?;
            }
        }
        Ok(())
    }

    /// Retries a refused event, and finally adds a dead letter for it.
    async fn retry_event(
        &mut self, event: &Event<R::Data>, mut why: String, entries: &[Entry], outcome: &mut BatchOutcome,
    ) -> Result<(), Stopped> {
        let entry = entries.iter().find(|entry| entry.seq == event.seq);
        // Not the delivery count of the entry: it includes broken connections and killed processes.
        let (mut attempts, mut backoff) = (1, Backoff::new());
        while attempts < self.max_attempts {
            self.monitor.meter.retries.increment(1);
            self.pause(&mut backoff).await?;
            match self.apply_until_answered(std::slice::from_ref(event)).await? {
                Ok(()) => return Ok(()),
                Err(again) => why = again,
            }
            attempts += 1;
        }
        error!(seq = event.seq, reason = %why, "the event handler refuses an event; it becomes a dead letter");
        if let Some(entry) = entry {
            outcome.set_aside(DeadLetter::refused(entry, why));
        }
        Ok(())
    }

    /// Makes one attempt, and repeats it while a dependency is unavailable. The error is the reason why the handler
    /// refuses the events.
    async fn apply_until_answered(&mut self, events: &[Event<R::Data>]) -> Result<Result<(), String>, Stopped> {
        let mut backoff = Backoff::new();
        loop {
            match self.call(events).await {
                Ok(()) => {
                    self.outage.recovered();
                    self.done(events);
                    return Ok(Ok(()));
                }
                Err(HandlerError::Unavailable(why)) => self.outage.failed(why),
                Err(HandlerError::Refused(why)) => return Ok(Err(why)),
            }
            self.monitor.meter.retries.increment(1);
            self.pause(&mut backoff).await?;
        }
    }

    /// Makes one attempt. Events that it does not apply are lost. The error is the reason.
    pub(super) async fn apply_once(&self, events: &[Event<R::Data>]) -> Result<(), String> {
        match self.call(events).await {
            Ok(()) => {
                self.monitor.meter.applied(events.iter().map(|event| event.occurred_at));
                events.iter().for_each(|event| self.monitor.reached(event.seq));
                Ok(())
            }
            Err(error) => {
                self.monitor.meter.lost.increment(events.len() as u64);
                Err(error.to_string())
            }
        }
    }

    /// Calls the handler once, in a span of each trace that has caused one of the events. A panic counts as a refusal.
    async fn call(&self, events: &[Event<R::Data>]) -> Result<(), HandlerError> {
        // On the heap: without optimisation, the handler's future in the consumer's future has overflowed a thread's
        // stack.
        let reaction = AssertUnwindSafe(Box::pin(self.handler.apply(events))).catch_unwind();
        let reaction = async {
            let applied = match timeout(self.handler_timeout, reaction).await {
                Ok(applied) => applied.unwrap_or_else(|_| Err(HandlerError::Refused(PANICKED.to_owned()))),
                // Otherwise, the events would wait for it forever, and no peer would take them over.
                Err(_) => Err(HandlerError::Unavailable(format!("no answer within {:?}", self.handler_timeout))),
            };
            if applied.is_err() {
                mark_failed();
            }
            applied
        };
        in_traces(EventWork::Process, self.source.stream, events.iter().map(|event| event.traceparent), reaction).await
    }

    fn done(&mut self, events: &[Event<R::Data>]) {
        self.monitor.meter.applied(events.iter().map(|event| event.occurred_at));
        let Some(applied) = &mut self.applied else { return };
        events.iter().for_each(|event| applied.add(event.seq, event.event_id));
        events.iter().for_each(|event| self.monitor.reached(event.seq));
    }

    /// Resyncs, and retries without a time limit.
    pub(super) async fn resync(&mut self, why: Resync) -> Result<Option<LogPosition>, Stopped> {
        self.monitor.meter.resync(why);
        self.monitor.resyncing(true);
        info!(
            ?why,
            stream = self.source.stream,
            "events may have been missed; what they concern is read or invalidated again"
        );
        let from = self.retry_until_done("a resync fails", "a resync is done", || self.handler.resync(why)).await?;
        self.monitor.resyncing(false);
        // Only the group knows its position.
        Ok(from.filter(|_| self.applied.is_none()))
    }

    /// Returns the service's position, if the service stores one. Retries without a time limit.
    pub(super) async fn position(&self) -> Result<Option<Position>, Stopped> {
        self.retry_until_done(
            "the position of this service cannot be read",
            "the position of this service is read",
            || self.handler.position(),
        )
        .await
    }

    /// Advances the service past its dead letters. Retries without a time limit.
    pub(super) async fn skip_dead_letters(&self, outcome: &BatchOutcome) -> Result<(), Stopped> {
        let numbers: Vec<u64> = outcome.dead_letters.iter().filter_map(DeadLetter::number).collect();
        match numbers.is_empty() || outcome.from.is_some() {
            true => Ok(()),
            false => {
                let (failing, recovered) =
                    ("events that were set aside cannot be noted", "events that were set aside are noted");
                self.retry_until_done(failing, recovered, || self.handler.skip_dead_letters(&numbers)).await
            }
        }
    }

    /// Advances the service past the events up to `until`, which are no longer available. Retries without a time limit.
    pub(super) async fn skip(&self, until: u64) -> Result<(), Stopped> {
        self.retry_until_done("lost events cannot be noted", "lost events are noted", || self.handler.skip(until)).await
    }

    async fn retry_until_done<T, F>(
        &self, failing: &'static str, recovered: &'static str, attempt: impl Fn() -> F,
    ) -> Result<T, Stopped>
    where
        F: Future<Output = Result<T, HandlerError>>,
    {
        let mut backoff = Backoff::new();
        let outage = RecurringFailure::new(self.source.stream, failing, recovered);
        loop {
            let reason = match AssertUnwindSafe(attempt()).catch_unwind().await {
                Ok(Ok(done)) => {
                    outage.recovered();
                    return Ok(done);
                }
                Ok(Err(error)) => error.to_string(),
                Err(_) => "it panicked; the panic was logged".to_owned(),
            };
            outage.failed(reason);
            self.monitor.meter.retries.increment(1);
            self.pause(&mut backoff).await?;
        }
    }

    /// Waits for the next pause of `backoff`. Returns an error if the consumer is stopped.
    pub(super) async fn pause(&self, backoff: &mut Backoff) -> Result<(), Stopped> {
        pause(&self.stop, backoff).await
    }
}

/// The ids of recently applied events, by number. The number alone does not identify an event: a restored database
/// assigns it again, to another event.
#[derive(Debug, Default)]
pub(super) struct RecentEvents {
    events: BTreeMap<u64, Uuid>,
}

impl RecentEvents {
    pub(super) fn has(&self, seq: u64, event: Uuid) -> bool {
        self.events.get(&seq) == Some(&event)
    }

    /// Remembers an event, and removes the event with the lowest number if there are too many.
    pub(super) fn add(&mut self, seq: u64, event: Uuid) {
        self.events.insert(seq, event);
        if self.events.len() > REMEMBERED {
            self.events.pop_first();
        }
    }
}

/// What remains to be done after a batch.
#[derive(Debug, Default)]
pub(super) struct BatchOutcome {
    /// The dead letters to write before the consumer acknowledges the batch.
    pub(super) dead_letters: Vec<DeadLetter>,
    /// The position that a [`Resync`](super::Resync) has set: no event after it was applied.
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

    /// Returns whether a dead letter stands for an event that the effects lack.
    pub(super) fn loses_data(&self) -> bool {
        self.dead_letters.iter().any(|letter| letter.loses_data)
    }
}
