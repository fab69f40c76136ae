//! Brings the stream to the state of the outbox: verifies it, appends what it lacks, or replaces it.

use diesel_async::AsyncPgConnection;
use metrics::counter;
use tracing::{info, warn};

use super::health::RelayError;
use super::hook::RelayHook;
use super::pipeline::Pipeline;
use super::stream::RelayState;
use super::table::{self, Head, Row};

/// The repair of a stream.
pub(super) struct Replay<'a, H> {
    pub(super) pipeline: &'a Pipeline<H>,
}

impl<H: RelayHook> Replay<'_, H> {
    /// Verifies, on a new connection or in a new epoch, that Redis and the stream are those that the rows were appended
    /// to. Appends the rows that the stream lacks up to then.
    pub(super) async fn verify(
        &self, connection: &mut AsyncPgConnection, state: &mut RelayState, head: &mut Head,
    ) -> Result<(), RelayError> {
        let Pipeline { stream, hook, .. } = self.pipeline;
        let run_id = stream.run_id().await?;
        let (last, end, is_new) = loop {
            // The stream is read first: every number in it by then is already assigned. And a relay that has begun a
            // new stream has already stored the run id of Redis.
            let (last, epoch) = stream.last().await?;
            let known = table::run_id(connection).await?;
            let now = table::head(connection).await?;
            head.observe(now);
            let is_new = known.as_ref() != Some(&run_id);
            if is_new {
                hook.redis_changed().await?;
            }
            // A database that has never appended anything has no stream either.
            let is_ours =
                known.is_some() && *state != RelayState::Diverged && table::is_part(connection, last, epoch).await?;
            if last == 0 || is_ours {
                if last == 0 && now.seq > 0 && !is_new {
                    // There is nothing to compare with, so the cache entries of this service may be of any history.
                    hook.history_changed().await?;
                }
                break (last, now.seq, is_new);
            }
            hook.history_changed().await?;
            *state = RelayState::Unverified;
            if self.remove(last, "it belongs to another database, or to the time before a restore").await? {
                break (0, now.seq, is_new);
            }
            // A peer was faster: read the new state.
        };
        if is_new {
            // Before the first append: if that fails, the next verification recognises the stream as its own.
            table::set_run_id(connection, &run_id).await?;
        }
        match last {
            0 => self.replay(connection).await?,
            _ => self.catch_up(connection, last + 1, end).await?,
        }
        *state = RelayState::Behind;
        Ok(())
    }

    /// Continues after an append of `rows` that has left the stream at `reached`, before or after their end.
    pub(super) async fn reconcile(
        &self, connection: &mut AsyncPgConnection, rows: &[Row], reached: i64,
    ) -> Result<(), RelayError> {
        let (Some(first), Some(last)) = (rows.first(), rows.last()) else { return Ok(()) };
        if reached > last.seq && reached > table::head(connection).await?.seq {
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
            let rows = table::between(connection, from, to, self.pipeline.batch_size.rows()).await?;
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
        let stream = self.pipeline.stream.source.stream;
        let is_removed = self.pipeline.stream.remove(last).await?;
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
            false => Err(RelayError::stream("the stream has changed while it was to be removed".to_owned())),
        }
    }

    /// Fills an empty stream with the rows of the retention period, up to the newest row.
    async fn replay(&self, connection: &mut AsyncPgConnection) -> Result<(), RelayError> {
        let (settings, stream) = (&self.pipeline.settings, self.pipeline.stream.source.stream);
        let retention = settings.retention.as_secs_f64();
        let begin = table::replay_from(connection, retention, settings.stream_length).await?;
        let mut from = begin;
        loop {
            let rows = table::between(connection, from, i64::MAX, self.pipeline.batch_size.rows()).await?;
            let Some(last) = rows.last().map(|row| row.seq) else { break };
            self.replay_page(&rows, from == begin).await?;
            from = last + 1;
        }
        if from > begin {
            counter!("relay_replays_total", "stream" => stream).increment(1);
            info!(events = from - begin, stream, "an empty stream received the latest events again");
        }
        Ok(())
    }

    /// Appends rows that this round did not number: the hook only receives the unfinished ones.
    async fn replay_page(&self, rows: &[Row], begin: bool) -> Result<(), RelayError> {
        let types = self.pipeline.stream.source.types;
        let unfinished: Vec<Row> = rows.iter().filter(|row| !row.done).cloned().collect();
        let events = table::readable(&unfinished, types);
        if !unfinished.is_empty() {
            self.pipeline.before_append(&events).await?;
        }
        self.append_page(rows, begin).await?;
        table::warn_of_unreadable(&unfinished, &events, types);
        self.pipeline.batch_size.succeeded();
        self.pipeline.health.advanced();
        Ok(())
    }

    /// Appends all of `rows`, or returns an error: a stream that has vanished in the meantime must not continue in the
    /// middle.
    async fn append_page(&self, rows: &[Row], begin: bool) -> Result<(), RelayError> {
        let reached = self.pipeline.stream.append(rows, begin).await?;
        match rows.last() {
            Some(last) if reached < last.seq => {
                Err(RelayError::stream(format!("the stream ends at {reached}, and {} was not appended", last.seq)))
            }
            _ => Ok(()),
        }
    }
}
