//! Reads as a member of a consumer group: Redis delivers each event to one process of the group.
//!
//! A session is one pair of connections to one Redis. When a session fails, the next session of this process claims its
//! pending entries first, or a peer claims them. The consumer acknowledges an entry only after it has applied the event
//! or, if the event could not be applied, has written the dead letter.
//!
//! While a process works on a batch, it extends the claim on it. A process that was frozen during a batch may find that
//! a peer has claimed it: then both apply the batch, and both acknowledge what they have applied.

use std::convert::Infallible;
use std::time::Duration;

use tokio::time::{Instant, interval, sleep};
use tracing::debug;
use uuid::Uuid;

use super::backfill::DuringLogOutage;
use super::effects::Effects;
use super::handler::{EventHandler, Resync};
use super::history::{self, HistoryCheck};
use super::join::{Join, Membership};
use super::monitor;
use super::session::{SessionContext, SessionEnd};
use super::stream::{Entry, StreamReader};
use crate::log::LogPosition;

/// How often the process looks for entries that a peer has left pending.
const CLAIM_INTERVAL: Duration = Duration::from_secs(1);

/// How often departed consumers are removed, and how long a consumer must have been idle before.
const PRUNE_INTERVAL: Duration = Duration::from_secs(60);
const PRUNE_IDLE_AFTER: Duration = Duration::from_secs(3600);

/// Errors with which Redis refuses all reads, or those of this service. The next session resolves other errors, such as
/// `NOGROUP`.
const REFUSALS: [&str; 9] =
    ["NOPERM", "NOAUTH", "WRONGPASS", "READONLY", "MISCONF", "LOADING", "BUSY ", "MASTERDOWN", "NOREPLICAS"];

pub(super) struct Group<R> {
    name: &'static str,
    /// The name of this consumer in the group.
    consumer: String,
    session: SessionContext,
    effects: Effects<R>,
    membership: Membership,
    /// An event of which it is unknown whether it is part of the log's history.
    unconfirmed: Option<LogPosition>,
}

impl<R: EventHandler> Group<R> {
    pub(super) fn new(name: &'static str, session: SessionContext, effects: Effects<R>) -> Self {
        let (consumer, membership) = (Uuid::now_v7().to_string(), Membership::default());
        Self { name, consumer, session, effects, membership, unconfirmed: None }
    }

    /// Reads until the consumer is stopped or an error occurs.
    pub(super) async fn session(&mut self) -> Result<(), SessionEnd> {
        let ended = self.read_stream().await;
        if let Err(SessionEnd::Redis(error)) = &ended
            && REFUSALS.iter().any(|refusal| error.details().starts_with(refusal))
        {
            self.session.monitor.refused(true);
        }
        ended
    }

    async fn read_stream(&mut self) -> Result<(), SessionEnd> {
        let stream = self.session.connect().await?;
        self.group_in(&stream).join().await?;
        self.session.monitor.connected(true);
        let (name, log, monitor) = (self.name, self.effects.log.clone(), self.session.monitor.clone());
        let reads = self.read(&stream);
        tokio::select! {
            ended = reads => ended?,
            never = monitor::watch(&stream, name, log, monitor) => match never {},
        }
        // The consumer was stopped. A consumer without pending entries can be removed from the group.
        if let Err(error) = stream.prune_consumers(self.name, Duration::ZERO, Some(&self.consumer)).await {
            debug!(%error, "the consumer could not be removed from its group; a later consumer will remove it");
        }
        Ok(())
    }

    fn group_in<'a>(&'a mut self, stream: &'a StreamReader) -> Join<'a, R> {
        Join { group: self.name, stream, effects: &mut self.effects, membership: &mut self.membership }
    }

    /// Returns `Ok` when the consumer is stopped.
    async fn read(&mut self, stream: &StreamReader) -> Result<(), SessionEnd> {
        // Entries that Redis delivered to an earlier session, possibly without that session receiving the reply.
        while self.claim_pending(stream, None).await? && !self.session.stop.is_cancelled() {}
        let mut claimed_at = Instant::now();
        let mut pruned_at: Option<Instant> = None;
        while !self.session.stop.is_cancelled() {
            stream.check_connections()?;
            if claimed_at.elapsed() >= CLAIM_INTERVAL.min(self.session.claim_after) {
                self.claim_pending(stream, Some(self.session.claim_after)).await?;
                claimed_at = Instant::now();
                if let Some(unconfirmed) = self.unconfirmed {
                    self.compare(unconfirmed, None).await?;
                }
                if self.membership.knows_position {
                    self.group_in(stream).compare_with_position().await?;
                }
                if pruned_at.is_none_or(|at| at.elapsed() >= PRUNE_INTERVAL) {
                    stream.prune_consumers(self.name, PRUNE_IDLE_AFTER, None).await?;
                    pruned_at = Some(claimed_at);
                }
            }
            let mut entries = stream.next(self.name, &self.consumer, self.session.batch).await?;
            self.session.monitor.refused(false);
            let Some(first) = entries.first_mut() else { continue };
            if self.membership.last.is_none_or(|last| last.seq + 1 != first.seq) {
                // A peer received the preceding entry, if there is one in the stream.
                first.before = Some(stream.before(&first.id).await?);
            }
            if let Some(last) = self.membership.last {
                self.compare(last, first.epoch()).await?;
            }
            let before = self.membership.last.and_then(|last| last.epoch);
            let epoch = entries.iter().rev().find_map(Entry::epoch).or(before);
            let last = entries.last().map(|entry| LogPosition { seq: entry.seq, epoch });
            self.apply(stream, entries).await?;
            self.membership.last = last;
        }
        Ok(())
    }

    /// Checks that the next event, which has the epoch `epoch`, continues the history of the last known event. If the
    /// log does not respond, the process asks again later. Events need not wait for the result: if the history is
    /// another one, the handler resyncs.
    async fn compare(&mut self, known: LogPosition, epoch: Option<Uuid>) -> Result<(), SessionEnd> {
        match history::compare(&self.effects.log, known, epoch).await {
            HistoryCheck::Same => self.unconfirmed = self.unconfirmed.filter(|unconfirmed| *unconfirmed != known),
            HistoryCheck::Unknown => self.unconfirmed = self.unconfirmed.or(Some(known)),
            HistoryCheck::Other => {
                // A peer has already reset the group. This process applied events of the previous history in the
                // meantime.
                self.effects.retry.resync(Resync::OtherHistory).await?;
                (self.membership.last, self.unconfirmed) = (None, None);
            }
        }
        self.session.monitor.unconfirmed(self.unconfirmed.is_some());
        Ok(())
    }

    /// Claims pending entries, applies and acknowledges them. Returns whether there were any.
    async fn claim_pending(&mut self, stream: &StreamReader, idle: Option<Duration>) -> Result<bool, SessionEnd> {
        let entries = stream.claim(self.name, &self.consumer, idle, self.session.batch).await?;
        if entries.is_empty() {
            return Ok(false);
        }
        if idle.is_some() {
            self.session.monitor.meter.claimed.increment(entries.len() as u64);
        }
        self.apply(stream, entries).await?;
        Ok(true)
    }

    async fn apply(&mut self, stream: &StreamReader, entries: Vec<Entry>) -> Result<(), SessionEnd> {
        let (Some(first), Some(last)) = (entries.first(), entries.last()) else { return Ok(()) };
        let first_seq = match entries.iter().any(|entry| entry.before == Some(0)) {
            true => stream.stream_state(self.name, 0).await?.first_seq(),
            false => 0,
        };
        let (ids, every) = ((first.id.as_str(), last.id.as_str()), self.session.claim_after / 3);
        let keeping = extend_claim(stream, self.name, &self.consumer, ids, entries.len(), every);
        let (effects, floor) = (&mut self.effects, self.membership.last.map(|last| last.seq));
        let work = async {
            let outcome = effects.apply(&entries, floor, first_seq, DuringLogOutage::GiveUp).await?;
            effects.write(Some(stream), &outcome).await
        };
        tokio::select! {
            done = work => done?,
            never = keeping => match never {},
        }
        // After a reconnect to another Redis, a peer may be working on the entries with these ids there.
        stream.check_connections()?;
        // Only now: after an acknowledgement, no process delivers the entry again.
        let ids = entries.into_iter().map(|entry| entry.id).collect();
        stream.acknowledge(self.name, ids).await?;
        Ok(())
    }
}

/// Extends the claim on a batch while this process works on it, without a time limit.
async fn extend_claim(
    stream: &StreamReader, group: &str, consumer: &str, ids: (&str, &str), count: usize, every: Duration,
) -> Infallible {
    let mut ticks = interval(every.max(Duration::from_millis(10)));
    ticks.tick().await;
    loop {
        ticks.tick().await;
        // If this fails, a peer may claim the batch, and both processes apply it.
        if let Err(error) = stream.extend_claim(group, consumer, ids, count).await {
            debug!(%error, "the claim of a batch cannot be extended");
            sleep(every).await;
        }
    }
}
