//! Reads the whole log: every event, in order, from a position that the service stores.
//!
//! The stream is the fast source, the log over HTTP the reliable one. The reader asks the log when the stream does not
//! hold the next number, or Redis is unavailable; when the log is unavailable too, the reader waits. It skips events
//! only with a [`Resync::Gap`], when the log no longer has them.

use std::time::Duration;

use tokio::time::{Instant, sleep};
use tracing::{info, warn};

use super::backfill::DuringLogOutage;
use super::effects::Effects;
use super::handler::{EventHandler, Resync};
use super::history::{HistoryCheck, compare};
use super::monitor;
use super::retry::BatchOutcome;
use super::session::{SessionContext, SessionEnd};
use super::stream::{Entry, StreamReader};
use crate::backoff::Backoff;
use crate::log::{LogError, LogPosition};

/// The reader polls the log when Redis has been unreachable for this long, and then polls at this interval.
const AWAY: Duration = Duration::from_secs(1);

pub(super) struct Reader<R> {
    session: SessionContext,
    effects: Effects<R>,
    /// Every event up to this position is applied.
    position: LogPosition,
    /// The run id of the Redis server that the reader has read from.
    run_id: Option<String>,
}

impl<R: EventHandler> Reader<R> {
    pub(super) fn new(position: LogPosition, session: SessionContext, effects: Effects<R>) -> Self {
        Self { session, effects, position, run_id: None }
    }

    /// Reads until the consumer is stopped or an error occurs. If the stream cannot be read although Redis responds,
    /// the reader reads the log before the next attempt.
    pub(super) async fn session(&mut self) -> Result<(), SessionEnd> {
        let ended = self.read_stream().await;
        if matches!(ended, Err(SessionEnd::Redis(_))) {
            self.session.monitor.connected(false);
            self.poll(None).await?;
        }
        ended
    }

    async fn read_stream(&mut self) -> Result<(), SessionEnd> {
        self.session.monitor.at(self.position.seq);
        let stream = self.session.open();
        let stop = self.session.stop.clone();
        loop {
            tokio::select! {
                connected = stream.connected() => break connected?,
                () = sleep(AWAY) => {}
                () = stop.cancelled() => return Ok(()),
            }
            self.poll(None).await?;
        }
        let run_id = stream.run_id().await?;
        if self.run_id.as_ref().is_some_and(|known| *known != run_id) {
            let from = self.effects.retry.resync(Resync::RedisChanged).await?;
            self.go_to(from.unwrap_or(self.position));
        }
        self.run_id = Some(run_id);
        self.session.monitor.connected(true);
        info!(
            stream = self.session.stream,
            after = self.position.seq,
            "the consumer reads the stream from its stored position"
        );
        let (log, monitor) = (self.effects.log.clone(), self.session.monitor.clone());
        tokio::select! {
            ended = self.read(&stream) => ended,
            never = monitor::watch(&stream, "", log, monitor) => match never {},
        }
    }

    /// Returns `Ok` when the consumer is stopped.
    async fn read(&mut self, stream: &StreamReader) -> Result<(), SessionEnd> {
        let look = stream.stream_state("", self.position.seq).await?;
        // If the stream does not hold the next number, it may lack events. The next event would reveal the gap, but may
        // arrive much later.
        let mut unconfirmed = !look.contains(self.position.seq + 1);
        let mut asked: Option<Instant> = None;
        let mut backoff = Backoff::new();
        let stop = self.session.stop.clone();
        while !stop.is_cancelled() {
            stream.check_connections()?;
            if unconfirmed && asked.is_none_or(|at| at.elapsed() >= AWAY) {
                unconfirmed = !self.poll(Some(stream)).await?;
                asked = Some(Instant::now());
            }
            // This reader has no pending entries, so the read can be cancelled.
            let mut entries = tokio::select! {
                entries = stream.after(self.position.seq, self.session.batch) => entries?,
                () = stop.cancelled() => break,
            };
            let Some(first) = entries.first_mut() else {
                // A stream that does not end with the last event that was read has another history; the log determines
                // what to do.
                if !unconfirmed && !stream.stream_state("", self.position.seq).await?.can_end_at(self.position) {
                    (unconfirmed, asked) = (true, None);
                }
                continue;
            };
            first.before = Some(self.position.seq);
            let epoch = first.epoch();
            match compare(&self.effects.log, self.position, epoch).await {
                HistoryCheck::Same => backoff = Backoff::new(),
                // Nothing is skipped: the same events are read again.
                HistoryCheck::Unknown => {
                    self.effects.retry.pause(&mut backoff).await?;
                    continue;
                }
                HistoryCheck::Other => {
                    self.resync_and_restart(Resync::OtherHistory).await?;
                    (unconfirmed, asked) = (true, None);
                    continue;
                }
            }
            let reached = LogPosition {
                seq: entries.last().map_or(self.position.seq, |entry| entry.seq),
                epoch: entries.iter().rev().find_map(Entry::epoch).or(self.position.epoch),
            };
            let outcome = self.effects.apply(&entries, None, 0, DuringLogOutage::Wait).await?;
            self.set_aside(Some(stream), &outcome).await?;
            self.go_to(outcome.from.unwrap_or(reached));
        }
        Ok(())
    }

    /// Applies the events of the log that this reader has not applied. Returns whether the log has responded.
    async fn poll(&mut self, stream: Option<&StreamReader>) -> Result<bool, SessionEnd> {
        loop {
            let mut outcome = BatchOutcome::default();
            let asked = Instant::now();
            let page = self.effects.backfill(&mut outcome).page(self.position, u64::MAX).await?;
            match page {
                Ok(page) => {
                    self.effects.resync_after_loss(&mut outcome).await?;
                    self.set_aside(stream, &outcome).await?;
                    let done = page.reached == self.position;
                    self.go_to(outcome.from.unwrap_or(page.reached));
                    self.session.monitor.lag(page.head.saturating_sub(self.position.seq), None);
                    if done {
                        if page.head <= self.position.seq {
                            self.session.monitor.verified(asked.into_std());
                        }
                        return Ok(true);
                    }
                }
                Err(error @ (LogError::Pruned(_) | LogError::Diverged(_))) => {
                    warn!(after = self.position.seq, %error, "the event log cannot be read from this position");
                    let why = if matches!(error, LogError::Pruned(_)) { Resync::Gap } else { Resync::OtherHistory };
                    if !self.resync_and_restart(why).await? {
                        // There is no position to continue from in the log: the stream will deliver the next events.
                        return Ok(true);
                    }
                }
                Err(LogError::Unavailable(_)) => return Ok(false),
            }
        }
    }

    /// Resyncs. Returns whether the resync has changed the position.
    async fn resync_and_restart(&mut self, why: Resync) -> Result<bool, SessionEnd> {
        let before = self.position;
        let from = self.effects.retry.resync(why).await?;
        // The position in another history is not a valid position in this one.
        let none = if why == Resync::OtherHistory { LogPosition::default() } else { before };
        self.go_to(from.unwrap_or(none));
        Ok(self.position != before)
    }

    /// Writes dead letters, and advances the service past them. Without Redis they are only logged, because the reader
    /// continues without Redis.
    async fn set_aside(&self, stream: Option<&StreamReader>, outcome: &BatchOutcome) -> Result<(), SessionEnd> {
        for letter in &outcome.dead_letters {
            warn!(
                id = letter.id,
                reason = letter.reason,
                detail = letter.detail,
                "an event is written to the dead letters"
            );
        }
        self.effects.write(stream, outcome).await
    }

    fn go_to(&mut self, position: LogPosition) {
        self.position = position;
        self.session.monitor.at(position.seq);
    }
}
