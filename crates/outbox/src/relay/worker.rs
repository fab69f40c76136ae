//! The relay's loop.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use chrono::Utc;
use diesel_async::AsyncPgConnection;
use futures_util::FutureExt;
use metrics::{counter, gauge, histogram};
use tokio::sync::broadcast::Receiver;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};
use uuid::Uuid;

use super::batch_size::BatchSize;
use super::health::{RelayFailure, RelayHealth};
use super::outbox::{self, Row};
use super::stream::{Stream, is_diverged};
use super::{OutboxEvent, RelayHook, RelaySettings, session};
use crate::consumer::HandlerError;
use crate::event::Event;

/// How long a row that a peer has numbered is left to that peer, in seconds.
const PEER_GRACE: f64 = 1.0;

const PRUNE_AT_ONCE: u32 = 10_000;

pub(super) struct Worker<H> {
    settings: RelaySettings,
    postgres: String,
    stream: Stream,
    hook: H,
    /// Becomes true when there is nothing left to do for the first time.
    settles: watch::Sender<bool>,
    health: RelayHealth,
    batch_size: BatchSize,
}

/// Why a tick has failed.
enum RelayError {
    /// The connection to Postgres failed; the relay reconnects.
    Postgres(String),
    /// Redis did not append: the rows stay in the outbox, and the relay retries.
    Elsewhere(String),
    /// The hook failed: the rows stay in the outbox, and the relay retries.
    Hook(String),
    /// The stream has other events under the numbers of these rows.
    Diverged,
}

/// The relay's knowledge of Postgres and Redis, during one connection to Postgres.
struct RelayState {
    /// Whether there may be numbered rows that no relay has appended.
    has_unappended: bool,
    /// Whether Redis and its stream are known to be those that the rows were appended to.
    is_verified: bool,
    /// Whether the stream refused rows: then it is replaced, even if its end matches.
    has_diverged: bool,
    /// The last number that is known to be assigned.
    head: i64,
    /// The epoch of the next numbers.
    epoch: Uuid,
}

impl RelayState {
    /// Records the position of the database. Another relay begins an epoch when it connects, and a restore also leads
    /// to another epoch: in either case the relay verifies the stream again.
    fn observe_head(&mut self, head: i64, epoch: Uuid) {
        self.is_verified &= self.epoch == epoch;
        (self.head, self.epoch) = (self.head.max(head), epoch);
    }
}

impl<H: RelayHook> Worker<H> {
    pub(super) fn new(
        settings: RelaySettings,
        postgres: String,
        stream: Stream,
        hook: H,
        settles: watch::Sender<bool>,
        status_sender: watch::Sender<Option<RelayFailure>>,
    ) -> Self {
        let (health, batch_size) =
            (RelayHealth::new(stream.source.stream, status_sender), BatchSize::new(settings.batch));
        Self { settings, postgres, stream, hook, settles, health, batch_size }
    }

    /// Runs the relay until it is stopped.
    pub(super) async fn run(self, stop: CancellationToken) {
        tokio::select! {
            () = self.relay(&stop) => {}
            () = self.stream.reconnect_when_silent() => {}
        }
        self.stream.close().await;
    }

    async fn relay(&self, stop: &CancellationToken) {
        let wake = Arc::new(Notify::new());
        let listening = tokio::spawn(session::listen(self.postgres.clone(), Arc::clone(&wake), stop.clone()));
        let mut connections = self.stream.connections();
        self.stream.connect();
        let connected = gauge!("relay_connected", "stream" => self.stream.source.stream);
        while !stop.is_cancelled() {
            connected.set(0.0);
            let (what, error) = match session::connect(&self.postgres).await {
                Ok(mut connection) => {
                    connected.set(1.0);
                    let work = self.work(&mut connection, &mut connections, &wake, stop);
                    // A panic in the hook is a bug in this program, but it must not stop the events.
                    match AssertUnwindSafe(work).catch_unwind().await {
                        Ok(Ok(())) => break,
                        Ok(Err(error)) => (RelayFailure::Outbox, error),
                        Err(_) => (RelayFailure::Invalidation, "it panicked; the panic was logged".to_owned()),
                    }
                }
                Err(error) => (RelayFailure::Outbox, error.to_string()),
            };
            rest(self.health.failed(what, error), stop).await;
        }
        connected.set(0.0);
        // The same token ends this task.
        let _ = listening.await;
    }

    /// Relays on one connection to Postgres. Returns an error when the connection fails, and `Ok` when the relay is
    /// stopped.
    async fn work(
        &self,
        connection: &mut AsyncPgConnection,
        connections: &mut Receiver<fred::types::config::Server>,
        wake: &Notify,
        stop: &CancellationToken,
    ) -> Result<(), String> {
        let mut ticks = interval(self.settings.poll);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut pruned = Instant::now();
        let begun = postgres(outbox::begin_epoch(connection).await)?;
        let mut state = RelayState {
            has_unappended: true,
            is_verified: false,
            has_diverged: false,
            head: begun.seq,
            epoch: begun.epoch,
        };
        while !stop.is_cancelled() {
            match self.tick(connection, &mut state).await {
                Ok(true) => {
                    self.health.recovered();
                    continue;
                }
                Ok(false) => {
                    self.health.recovered();
                    self.settles.send_replace(true);
                }
                Err(error) => {
                    let (what, error) = match error {
                        RelayError::Postgres(error) => return Err(error),
                        RelayError::Elsewhere(error) => (RelayFailure::Stream, error),
                        RelayError::Hook(error) => (RelayFailure::Invalidation, error),
                        RelayError::Diverged => {
                            state.has_diverged = true;
                            (RelayFailure::Stream, "the stream has another history than the outbox".to_owned())
                        }
                    };
                    // The relay verifies the stream again, so that it does not call the hook before Redis responds.
                    (state.has_unappended, state.is_verified) = (true, false);
                    self.batch_size.failed();
                    rest(self.health.failed(what, error), stop).await;
                    continue;
                }
            }
            tokio::select! {
                () = wake.notified() => {}
                // A receiver that lagged has missed connections, so there were new connections.
                _ = connections.recv() => state.is_verified = false,
                _ = ticks.tick() => {
                    let head = postgres(outbox::head(connection).await)?;
                    if head.seq < state.head {
                        return Err(format!("the outbox was at {} and is at {}: it was restored", state.head, head.seq));
                    }
                    state.observe_head(head.seq, head.epoch);
                    state.has_unappended |= !postgres(outbox::unfinished(connection, PEER_GRACE, 1).await)?.is_empty();
                    if pruned.elapsed() > self.settings.prune_every {
                        pruned = Instant::now();
                        let seconds = self.settings.retention.as_secs_f64();
                        while postgres(outbox::prune(connection, seconds, PRUNE_AT_ONCE).await)? == PRUNE_AT_ONCE as usize {}
                    }
                }
                () = stop.cancelled() => {}
            }
        }
        Ok(())
    }

    /// Numbers and appends new rows, or appends the remaining ones. Returns whether there may be more.
    async fn tick(&self, connection: &mut AsyncPgConnection, state: &mut RelayState) -> Result<bool, RelayError> {
        let batch = self.settings.batch;
        let mut fresh = self.number(connection, state).await?;
        if !state.is_verified {
            // All rows are numbered, even while Redis is unavailable: the log over HTTP continues.
            state.has_unappended = true;
            while fresh.len() == batch as usize {
                fresh = self.number(connection, state).await?;
            }
            self.verify_stream(connection, state).await?;
            (state.is_verified, state.has_diverged) = (true, false);
        }
        let rows = if state.has_unappended {
            outbox::unfinished(connection, 0.0, self.batch_size.rows()).await?
        } else {
            fresh
        };
        let (Some(first), Some(last)) = (rows.first(), rows.last()) else {
            let more = state.has_unappended;
            state.has_unappended = false;
            return Ok(more);
        };
        let events = self.events(&rows);
        self.hook.before_append(&events).await?;
        self.append(connection, &rows).await?;
        self.warn_of_unreadable(&rows, &events);
        self.count(&events);
        outbox::done(connection, first.seq, last.seq).await?;
        self.advanced();
        // Later commits have sent a notification.
        Ok(state.has_unappended || rows.len() == batch as usize)
    }

    /// Numbers one batch.
    async fn number(&self, connection: &mut AsyncPgConnection, state: &mut RelayState) -> Result<Vec<Row>, RelayError> {
        let rows = outbox::number(connection, self.settings.batch, state.head).await?;
        if let Some(Row { seq, epoch: Some(epoch), .. }) = rows.last() {
            state.observe_head(*seq, *epoch);
        }
        Ok(rows)
    }

    /// Verifies, on a new connection and in a new epoch, that Redis and the stream are those that the rows were
    /// appended to.
    async fn verify_stream(
        &self,
        connection: &mut AsyncPgConnection,
        state: &mut RelayState,
    ) -> Result<(), RelayError> {
        let run_id = self.stream.run_id().await?;
        let (last, head, is_new) = loop {
            // The stream is read first: every number that it contains by then was assigned before. And a relay that has
            // begun a new stream has stored its run id before.
            let (last, epoch) = self.stream.last().await?;
            let known = outbox::run_id(connection).await?;
            let head = outbox::head(connection).await?;
            state.observe_head(head.seq, head.epoch);
            let is_new = known.as_ref() != Some(&run_id);
            if is_new {
                self.hook.redis_changed().await?;
            }
            // A database that has never appended anything has no stream either.
            let is_ours = known.is_some() && !state.has_diverged && outbox::is_part(connection, last, epoch).await?;
            if last == 0 || is_ours {
                if last == 0 && head.seq > 0 && !is_new {
                    // There is nothing to compare with, so the cache entries of this service may be of any history.
                    self.hook.history_changed().await?;
                }
                break (last, head.seq, is_new);
            }
            self.hook.history_changed().await?;
            state.has_diverged = false;
            if self.remove(last, "it belongs to another database, or to the time before a restore").await? {
                break (0, head.seq, is_new);
            }
            // A peer was faster: read the new state.
        };
        if is_new {
            // Before the first append: if that fails, the next verification recognises the stream as its own.
            outbox::set_run_id(connection, &run_id).await?;
        }
        match last {
            0 => self.replay(connection).await,
            _ => self.catch_up(connection, last + 1, head).await,
        }
    }

    /// Appends `rows`, and before them the rows that the stream lacks.
    async fn append(&self, connection: &mut AsyncPgConnection, rows: &[Row]) -> Result<(), RelayError> {
        let (Some(first), Some(last)) = (rows.first(), rows.last()) else { return Ok(()) };
        let reached = self.stream.append(rows, false).await?;
        if reached > last.seq && reached > outbox::head(connection).await?.seq {
            self.remove_now(reached, "another process writes to it").await?;
            self.replay(connection).await
        } else if reached >= last.seq {
            Ok(())
        } else if reached == 0 {
            self.replay(connection).await
        } else {
            self.catch_up(connection, reached + 1, first.seq - 1).await?;
            self.append_page(rows, false).await
        }
    }

    /// Appends the rows `from` to `to`, which the stream lacks.
    async fn catch_up(&self, connection: &mut AsyncPgConnection, mut from: i64, to: i64) -> Result<(), RelayError> {
        while from <= to {
            let rows = outbox::between(connection, from, to, self.batch_size.rows()).await?;
            let Some(last) = rows.last().map(|row| row.seq).filter(|_| rows[0].seq == from) else {
                self.remove_now(from - 1, "it is too old to continue").await?;
                return self.replay(connection).await;
            };
            self.replay_page(&rows, false).await?;
            from = last + 1;
        }
        Ok(())
    }

    /// Removes the stream, if it still ends with this number. Returns whether it did.
    async fn remove(&self, last: i64, why: &str) -> Result<bool, RelayError> {
        let stream = self.stream.source.stream;
        let is_removed = self.stream.remove(last).await?;
        if is_removed {
            counter!("relay_streams_removed_total", "stream" => stream).increment(1);
            warn!(why, stream, "the stream is removed and starts again");
        }
        Ok(is_removed)
    }

    /// Removes the stream, and returns an error if it no longer ends with this number: then the relay verifies
    /// everything again.
    async fn remove_now(&self, last: i64, why: &str) -> Result<(), RelayError> {
        match self.remove(last, why).await? {
            true => Ok(()),
            false => Err(RelayError::Elsewhere("the stream has changed while it was to be removed".to_owned())),
        }
    }

    fn advanced(&self) {
        self.batch_size.succeeded();
        self.health.advanced();
    }

    /// Fills an empty stream with the last hour, up to the newest row.
    async fn replay(&self, connection: &mut AsyncPgConnection) -> Result<(), RelayError> {
        let hour = self.settings.retention.as_secs_f64();
        let begin = outbox::replay_from(connection, hour, self.settings.stream_length).await?;
        let mut from = begin;
        loop {
            let rows = outbox::between(connection, from, i64::MAX, self.batch_size.rows()).await?;
            let Some(last) = rows.last().map(|row| row.seq) else { break };
            self.replay_page(&rows, from == begin).await?;
            from = last + 1;
        }
        if from > begin {
            counter!("relay_replays_total", "stream" => self.stream.source.stream).increment(1);
            info!(
                events = from - begin,
                stream = self.stream.source.stream,
                "an empty stream received the latest events again"
            );
        }
        Ok(())
    }

    /// Appends rows that this tick did not number: the hook only receives the unfinished ones.
    async fn replay_page(&self, rows: &[Row], begin: bool) -> Result<(), RelayError> {
        let unfinished: Vec<Row> = rows.iter().filter(|row| !row.done).cloned().collect();
        let events = self.events(&unfinished);
        if !unfinished.is_empty() {
            self.hook.before_append(&events).await?;
        }
        self.append_page(rows, begin).await?;
        self.warn_of_unreadable(&unfinished, &events);
        self.advanced();
        Ok(())
    }

    /// Appends all of `rows`, or returns an error: a stream that has vanished in the meantime must not continue in the
    /// middle.
    async fn append_page(&self, rows: &[Row], begin: bool) -> Result<(), RelayError> {
        let reached = self.stream.append(rows, begin).await?;
        match rows.last() {
            Some(last) if reached < last.seq => {
                Err(RelayError::Elsewhere(format!("the stream ends at {reached}, and {} was not appended", last.seq)))
            }
            _ => Ok(()),
        }
    }

    /// Returns those of `rows` that can be parsed. The others are appended as well: consumers write them to the dead
    /// letters.
    fn events(&self, rows: &[Row]) -> Vec<OutboxEvent<H::Data>> {
        let readable = |row: &Row| {
            let event = Event::parse(row.event.as_bytes(), self.stream.source.types).ok()?;
            Some(OutboxEvent { event, writer: row.writer.clone() })
        };
        rows.iter().filter_map(readable).collect()
    }

    /// Logs unreadable rows once, after they are appended, and not at each attempt: a client may write arbitrary rows to
    /// the outbox by hand.
    fn warn_of_unreadable(&self, rows: &[Row], read: &[OutboxEvent<H::Data>]) {
        let all_read = rows.len() == read.len();
        for row in rows.iter().filter(|_| !all_read) {
            if let Err(error) = Event::<H::Data>::parse(row.event.as_bytes(), self.stream.source.types) {
                warn!(seq = row.seq, %error, "a row of the outbox is not a valid event; it is appended unchanged");
            }
        }
    }

    fn count(&self, events: &[OutboxEvent<H::Data>]) {
        let stream = self.stream.source.stream;
        counter!("relay_events_total", "stream" => stream).increment(events.len() as u64);
        let now = Utc::now();
        let delay = histogram!("relay_delay_seconds", "stream" => stream);
        for OutboxEvent { event, .. } in events {
            delay.record((now - event.occurred_at).to_std().unwrap_or_default());
        }
    }
}

async fn rest(pause: Duration, stop: &CancellationToken) {
    tokio::select! {
        () = sleep(pause) => {}
        () = stop.cancelled() => {}
    }
}

fn postgres<T>(result: diesel::QueryResult<T>) -> Result<T, String> {
    result.map_err(|error| error.to_string())
}

impl From<diesel::result::Error> for RelayError {
    fn from(error: diesel::result::Error) -> Self {
        Self::Postgres(error.to_string())
    }
}

impl From<fred::error::Error> for RelayError {
    fn from(error: fred::error::Error) -> Self {
        if is_diverged(&error) { Self::Diverged } else { Self::Elsewhere(error.details().to_owned()) }
    }
}

impl From<HandlerError> for RelayError {
    fn from(error: HandlerError) -> Self {
        Self::Hook(error.to_string())
    }
}
