//! The relay's loop on one connection to Postgres.

use std::time::Duration;

use chrono::Utc;
use diesel_async::AsyncPgConnection;
use fred::types::config::Server;
use metrics::{counter, histogram};
use tokio::sync::broadcast::Receiver;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use super::health::RelayError;
use super::health::RelayFailure;
use super::hook::{OutboxEvent, RelayHook};
use super::pipeline::Pipeline;
use super::replay::Replay;
use super::stream::RelayState;
use super::table::{self, Head, Row};
use crate::event_span::{EventWork, in_traces};

/// How long a row that a peer has numbered is left to that peer, in seconds.
const PEER_GRACE: f64 = 1.0;

/// Rounds begin at least this far apart, unless there is a backlog. A single event is relayed at once. Events that
/// arrive within this interval share a round, the invalidations of the hook and the batches of the consumers.
const ROUND_INTERVAL: Duration = Duration::from_millis(8);

/// The rows that are deleted between two rounds: a longer pause would delay the events.
const PRUNE_AT_ONCE: u32 = 2_000;

/// The pause before further rows are deleted, if there may be more.
const PRUNE_AGAIN: Duration = Duration::from_millis(100);

pub(super) struct Worker<H> {
    pub(super) pipeline: Pipeline<H>,
    /// Becomes true the first time that there is nothing left to do.
    pub(super) settles: watch::Sender<bool>,
}

impl<H: RelayHook> Worker<H> {
    /// Relays on one connection to Postgres. Returns an error when the connection fails, and `Ok` when the relay is
    /// stopped.
    pub(super) async fn work(
        &self, connection: &mut AsyncPgConnection, connections: &mut Receiver<Server>, wake: &Notify,
        stop: &CancellationToken,
    ) -> Result<(), String> {
        let mut ticks = interval(self.pipeline.settings.poll);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut pruned = Instant::now();
        let mut head = postgres(table::begin_epoch(connection).await)?;
        let mut state = RelayState::Unverified;
        while !stop.is_cancelled() {
            let began = Instant::now();
            match self.round(connection, &mut state, &mut head).await {
                Ok(more) => {
                    self.pipeline.health.recovered();
                    if more {
                        continue;
                    }
                    self.settles.send_replace(true);
                }
                Err(error) => {
                    let (what, error) = match error {
                        RelayError::Postgres(error) => return Err(error),
                        RelayError::StepFailed(what, error) => (what, error),
                        RelayError::Diverged => {
                            state = RelayState::Diverged;
                            (RelayFailure::Stream, "the stream has another history than the outbox".to_owned())
                        }
                    };
                    // The relay verifies the stream again, so that it does not call the hook before Redis responds.
                    state.unverify();
                    self.pipeline.batch_size.failed();
                    pause(self.pipeline.health.failed(what, error), stop).await;
                    continue;
                }
            }
            tokio::select! {
                () = wake.notified() => sleep_until(began + ROUND_INTERVAL).await,
                // A receiver that lagged has missed connections, so there were new connections.
                _ = connections.recv() => state.unverify(),
                _ = ticks.tick() => {
                    self.check_for_unreported_changes(connection, &mut state, &mut head).await?;
                    if pruned.elapsed() > self.pipeline.settings.prune_every {
                        let seconds = self.pipeline.settings.retention.as_secs_f64();
                        let deleted = postgres(table::prune(connection, seconds, PRUNE_AT_ONCE).await)?;
                        match deleted == PRUNE_AT_ONCE as usize {
                            true => ticks.reset_after(PRUNE_AGAIN),
                            false => pruned = Instant::now(),
                        }
                    }
                }
                () = stop.cancelled() => {}
            }
        }
        Ok(())
    }

    /// Checks for what no notification reports: a restored database, and rows that a peer has numbered and not
    /// appended.
    async fn check_for_unreported_changes(
        &self, connection: &mut AsyncPgConnection, state: &mut RelayState, head: &mut Head,
    ) -> Result<(), String> {
        let now = postgres(table::head(connection).await)?;
        if now.seq < head.seq {
            let (before, now) = (head.seq, now.seq);
            return Err(format!("the last event number fell from {before} to {now}: the database was restored"));
        }
        if !head.observe(now) {
            state.unverify();
        }
        let left = !postgres(table::unfinished(connection, PEER_GRACE, 1).await)?.is_empty();
        if left && *state == RelayState::Current {
            *state = RelayState::Behind;
        }
        Ok(())
    }

    /// Numbers and appends new rows, or appends the remaining ones. Returns whether there may be more.
    async fn round(
        &self, connection: &mut AsyncPgConnection, state: &mut RelayState, head: &mut Head,
    ) -> Result<bool, RelayError> {
        let Pipeline { settings, stream, batch_size, health, .. } = &self.pipeline;
        let (batch, replay) = (settings.batch as usize, Replay { pipeline: &self.pipeline });
        let mut fresh = self.number(connection, state, head).await?;
        if !state.is_verified() {
            // All rows are numbered, even while Redis is unavailable: the log over HTTP continues.
            while fresh.len() == batch {
                fresh = self.number(connection, state, head).await?;
            }
            replay.verify(connection, state, head).await?;
        }
        let rows = match *state {
            RelayState::Current => fresh,
            _ => table::unfinished(connection, 0.0, batch_size.rows()).await?,
        };
        let (Some(first), Some(last)) = (rows.first(), rows.last()) else {
            return Ok(std::mem::replace(state, RelayState::Current) == RelayState::Behind);
        };
        let events = table::readable(&rows, stream.source.types);
        let publish = async {
            self.pipeline.before_append(&events).await?;
            Ok::<_, RelayError>(stream.append(&rows, false).await?)
        };
        let traces = events.iter().map(|committed| committed.event.traceparent);
        let reached = in_traces(EventWork::Publish, stream.source.stream, traces, publish).await?;
        if reached != last.seq {
            replay.reconcile(connection, &rows, reached).await?;
        }
        table::warn_of_unreadable(&rows, &events, stream.source.types);
        self.count(&events);
        table::done(connection, first.seq, last.seq).await?;
        batch_size.succeeded();
        health.advanced();
        // A row that was committed later has sent a notification, which starts another round.
        Ok(*state == RelayState::Behind || rows.len() == batch)
    }

    async fn number(
        &self, connection: &mut AsyncPgConnection, state: &mut RelayState, head: &mut Head,
    ) -> Result<Vec<Row>, RelayError> {
        let rows = table::number(connection, self.pipeline.settings.batch, head.seq).await?;
        if let Some(Row { seq, epoch: Some(epoch), .. }) = rows.last()
            && !head.observe(Head { seq: *seq, epoch: *epoch })
        {
            state.unverify();
        }
        Ok(rows)
    }

    fn count(&self, events: &[OutboxEvent<H::Data>]) {
        let stream = self.pipeline.stream.source.stream;
        counter!("relay_events_total", "stream" => stream).increment(events.len() as u64);
        let now = Utc::now();
        let delay = histogram!("relay_delay_seconds", "stream" => stream);
        for OutboxEvent { event, .. } in events {
            delay.record((now - event.occurred_at).to_std().unwrap_or_default());
        }
    }
}

/// Waits for `pause`, or until the relay is stopped.
pub(super) async fn pause(pause: Duration, stop: &CancellationToken) {
    tokio::select! {
        () = sleep(pause) => {}
        () = stop.cancelled() => {}
    }
}

fn postgres<T>(result: diesel::QueryResult<T>) -> Result<T, String> {
    result.map_err(|error| error.to_string())
}
