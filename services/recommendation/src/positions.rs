//! Which events have been applied: one row per stream, written when the effect is committed and the lists that it outdates
//! are invalidated.
//!
//! Replicas share the events of a stream, and one may have applied 11 to 20 while another still applies 5. So the row
//! holds a set of ranges. If Redis has lost the consumer group, the next group begins before the first number that is
//! missing in the set. Events that are applied again then have no second effect.
//!
//! The newest applied event identifies the history of the log: after a restore of its database, the log does not know
//! that event.

use database::{Pool, sql};
use diesel::OptionalExtension;
use diesel::sql_types::{BigInt, Nullable, Text, Uuid as SqlUuid};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use outbox::consumer::Position;
use outbox::log::LogPosition;
use uuid::Uuid;

use crate::error::RecommendationError;

/// A missing number that is this far behind the newest one counts as applied: its event has become a dead letter.
const LATEST: i64 = 100_000;

/// The table `streams`. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Positions {
    pool: Pool,
}

#[derive(diesel::QueryableByName)]
struct Row {
    #[diesel(sql_type = Nullable<BigInt>)]
    done: Option<i64>,
    #[diesel(sql_type = BigInt)]
    newest_seq: i64,
    #[diesel(sql_type = Nullable<SqlUuid>)]
    newest_epoch: Option<Uuid>,
}

#[derive(diesel::QueryableByName)]
struct Losses {
    #[diesel(sql_type = BigInt)]
    losses: i64,
}

impl Positions {
    /// Creates access to the table in the database of `pool`.
    pub fn new(pool: Pool) -> Self {
        Self { pool }
    }

    /// Returns the position of the service in the stream; `None` if the stream has no row yet.
    ///
    /// # Errors
    /// Fails when the database does not respond.
    pub async fn of(&self, stream: &str) -> Result<Option<Position>, RecommendationError> {
        let first = "SELECT (SELECT upper(first) - 1 FROM unnest(applied) AS first ORDER BY first LIMIT 1) AS done,
                         newest_seq, newest_epoch
                     FROM streams WHERE name = $1";
        let read = async |connection: &mut AsyncPgConnection| {
            Ok::<_, RecommendationError>(sql(first).bind::<Text, _>(stream).get_result(connection).await.optional()?)
        };
        let row: Option<Row> = self.pool.read(read).await?;
        Ok(row.map(|row| {
            let seq = row.done.unwrap_or(0).unsigned_abs();
            let newest =
                row.newest_epoch.map(|epoch| LogPosition { seq: row.newest_seq.unsigned_abs(), epoch: Some(epoch) });
            Position { seq, newest: newest.unwrap_or(seq.into()) }
        }))
    }

    /// Marks every event up to `position` as applied. The ranges above `position` stay as they are.
    ///
    /// # Errors
    /// Fails when the database does not respond.
    pub async fn begin(&self, stream: &str, position: LogPosition) -> Result<(), RecommendationError> {
        let statement = || {
            sql("INSERT INTO streams (name, applied, newest_seq, newest_epoch)
             VALUES ($1, int8multirange(int8range(0, $2 + 1)), CASE WHEN $3 IS NULL THEN 0 ELSE $2 END, $3)
             ON CONFLICT (name) DO UPDATE SET applied = streams.applied + excluded.applied,
                 newest_seq = greatest(streams.newest_seq, excluded.newest_seq),
                 newest_epoch = CASE WHEN streams.newest_seq <= excluded.newest_seq
                                     THEN coalesce(excluded.newest_epoch, streams.newest_epoch)
                                     ELSE streams.newest_epoch END")
            .bind::<Text, _>(stream)
            .bind::<BigInt, _>(signed(position.seq))
            .bind::<Nullable<SqlUuid>, _>(position.epoch)
        };
        self.pool.run_sql(statement).await?;
        Ok(())
    }

    /// Marks every event up to `position` in the new history of the log as applied, and no other.
    ///
    /// # Errors
    /// Fails when the database does not respond.
    pub async fn replace(&self, stream: &str, position: LogPosition) -> Result<(), RecommendationError> {
        let statement = || {
            sql("UPDATE streams SET applied = int8multirange(int8range(0, $2 + 1)), newest_seq = $2, newest_epoch = $3
             WHERE name = $1")
            .bind::<Text, _>(stream)
            .bind::<BigInt, _>(signed(position.seq))
            .bind::<Nullable<SqlUuid>, _>(position.epoch)
        };
        self.pool.run_sql(statement).await?;
        Ok(())
    }

    /// Records that events were lost, so that their data must be read as a whole.
    ///
    /// # Errors
    /// Fails when the database does not respond.
    pub async fn set_incomplete(&self, stream: &str) -> Result<(), RecommendationError> {
        let statement = || {
            sql("INSERT INTO streams (name, applied, incomplete, losses)
             VALUES ($1, int8multirange(int8range(0, 1)), true, 1)
             ON CONFLICT (name) DO UPDATE SET incomplete = true, losses = streams.losses + 1")
            .bind::<Text, _>(stream)
        };
        self.pool.run_sql(statement).await?;
        Ok(())
    }

    /// Returns how often events were lost, if their data has not been read as a whole since.
    ///
    /// # Errors
    /// Fails when the database does not respond.
    pub async fn losses(&self, stream: &str) -> Result<Option<i64>, RecommendationError> {
        let read = async |connection: &mut AsyncPgConnection| {
            let losses = sql("SELECT losses FROM streams WHERE name = $1 AND incomplete").bind::<Text, _>(stream);
            Ok::<_, RecommendationError>(losses.get_result(connection).await.optional()?)
        };
        let row: Option<Losses> = self.pool.read(read).await?;
        Ok(row.map(|row| row.losses))
    }

    /// Records that the data was read as a whole, after events had been lost `losses` times. Returns `false` and
    /// records nothing if more events were lost since.
    ///
    /// # Errors
    /// Fails when the database does not respond.
    pub async fn set_complete(&self, stream: &str, losses: i64) -> Result<bool, RecommendationError> {
        let statement = || {
            let complete = sql("UPDATE streams SET incomplete = false WHERE name = $1 AND losses = $2");
            complete.bind::<Text, _>(stream).bind::<BigInt, _>(losses)
        };
        Ok(self.pool.run_sql(statement).await? > 0)
    }

    /// Marks events that became dead letters as applied.
    ///
    /// # Errors
    /// Fails when the database does not respond.
    pub async fn skip_dead_letters(&self, stream: &str, numbers: &[u64]) -> Result<(), RecommendationError> {
        let positions: Vec<LogPosition> = numbers.iter().map(|number| LogPosition::from(*number)).collect();
        self.mark_applied(stream, &positions).await
    }

    /// Marks events as applied. Call it last, outside of the transaction that applies the events: if the process is
    /// killed before this call, the events are applied again, and the lists that they outdate are invalidated again.
    ///
    /// # Errors
    /// Fails when the database does not respond.
    pub async fn mark_applied(&self, stream: &str, events: &[LogPosition]) -> Result<(), RecommendationError> {
        self.pool.run(async |connection| mark_applied(connection, stream, events.iter().copied()).await).await
    }
}

/// The commit does not wait for the disk: an event whose number is lost in a crash is applied once more.
async fn mark_applied(
    connection: &mut AsyncPgConnection, stream: &str, events: impl Iterator<Item = LogPosition>,
) -> Result<(), RecommendationError> {
    let (mut ranges, mut newest) = (Vec::new(), LogPosition::default());
    for event in events {
        ranges.push(format!("[{0},{0}]", event.seq));
        if event.epoch.is_some() && event.seq >= newest.seq {
            newest = event;
        }
    }
    sql("INSERT INTO streams (name, applied, newest_seq, newest_epoch)
         SELECT $1, $2::text::int8multirange + int8multirange(int8range(0, 1)), $4, $5
         FROM (SELECT set_config('synchronous_commit', 'off', true)) AS this_transaction
         ON CONFLICT (name) DO UPDATE SET applied = streams.applied + excluded.applied
             + int8multirange(int8range(0, greatest(upper(excluded.applied) - $3, 0))),
             newest_seq = greatest(streams.newest_seq, excluded.newest_seq),
             newest_epoch = CASE WHEN streams.newest_seq <= excluded.newest_seq
                                 THEN coalesce(excluded.newest_epoch, streams.newest_epoch)
                                 ELSE streams.newest_epoch END")
    .bind::<Text, _>(stream)
    .bind::<Text, _>(format!("{{{}}}", ranges.join(",")))
    .bind::<BigInt, _>(LATEST)
    .bind::<BigInt, _>(signed(newest.seq))
    .bind::<Nullable<SqlUuid>, _>(newest.epoch)
    .execute(connection)
    .await?;
    Ok(())
}

/// Converts an event number into a `bigint` of Postgres.
pub(crate) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
