//! The outbox table: its queries, and its log for consumers that have missed something.
//!
//! Two services have one, each in its own database; their migrations create it alike.

use database::{Pool, sql};
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Bool, Double, Nullable, Text};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use serde_json::Value;

use crate::log::{EventPage, PAGE};

/// A numbered row.
#[derive(Clone, Debug, QueryableByName)]
pub(super) struct Row {
    #[diesel(sql_type = BigInt)]
    pub(super) seq: i64,
    /// The event with its number, as it is published.
    #[diesel(sql_type = Text)]
    pub(super) event: String,
    /// Whether it has been appended once: whoever listens to the channel has heard of it.
    #[diesel(sql_type = Bool)]
    pub(super) done: bool,
    /// What the writing transaction called itself.
    #[diesel(sql_type = Nullable<Text>)]
    pub(super) writer: Option<String>,
}

const ROW: &str = "seq, (event || jsonb_build_object('seq', seq))::text AS event, done_at IS NOT NULL AS done, writer";

#[derive(QueryableByName)]
struct Number {
    #[diesel(sql_type = BigInt)]
    number: i64,
}

#[derive(QueryableByName)]
struct RunId {
    #[diesel(sql_type = Nullable<Text>)]
    run_id: Option<String>,
}

/// Numbers at most `limit` committed rows and returns them, by number.
///
/// One statement, so that it holds the lock of `outbox_head` for one round trip, whatever becomes of this process. Who
/// waits for that lock sees the head as the other left it, and passes over the rows that the other took.
pub(super) async fn number(connection: &mut AsyncPgConnection, limit: u32) -> QueryResult<Vec<Row>> {
    let mut rows: Vec<Row> = sql("WITH head AS MATERIALIZED (SELECT seq FROM outbox_head FOR UPDATE),
         taken AS MATERIALIZED (
             SELECT id FROM outbox WHERE seq IS NULL AND EXISTS (SELECT FROM head)
             ORDER BY id LIMIT $1 FOR UPDATE SKIP LOCKED),
         numbered AS (SELECT id, (SELECT seq FROM head) + row_number() OVER (ORDER BY id) AS seq FROM taken),
         moved AS (UPDATE outbox_head SET seq = seq + (SELECT count(*) FROM taken) WHERE EXISTS (SELECT FROM taken))
         UPDATE outbox SET seq = numbered.seq FROM numbered WHERE outbox.id = numbered.id
         RETURNING outbox.seq, (outbox.event || jsonb_build_object('seq', outbox.seq))::text AS event, false AS done,
             outbox.writer")
    .bind::<BigInt, _>(i64::from(limit))
    .load(connection)
    .await?;
    rows.sort_unstable_by_key(|row| row.seq);
    Ok(rows)
}

/// Numbered rows that have not been appended for `age` seconds, by number.
pub(super) async fn unfinished(connection: &mut AsyncPgConnection, age: f64, limit: u32) -> QueryResult<Vec<Row>> {
    sql(format!(
        "SELECT {ROW} FROM outbox
         WHERE done_at IS NULL AND seq IS NOT NULL AND occurred_at <= clock_timestamp() - make_interval(secs => $1)
         ORDER BY seq LIMIT $2"
    ))
    .bind::<Double, _>(age)
    .bind::<BigInt, _>(i64::from(limit))
    .load(connection)
    .await
}

/// Rows `first` to `last`, at most `limit`, by number.
pub(super) async fn between(
    connection: &mut AsyncPgConnection,
    first: i64,
    last: i64,
    limit: u32,
) -> QueryResult<Vec<Row>> {
    sql(format!("SELECT {ROW} FROM outbox WHERE seq BETWEEN $1 AND $2 ORDER BY seq LIMIT $3"))
        .bind::<BigInt, _>(first)
        .bind::<BigInt, _>(last)
        .bind::<BigInt, _>(i64::from(limit))
        .load(connection)
        .await
}

/// Marks rows as appended.
pub(super) async fn done(connection: &mut AsyncPgConnection, first: i64, last: i64) -> QueryResult<usize> {
    sql("UPDATE outbox SET done_at = clock_timestamp() WHERE seq BETWEEN $1 AND $2 AND done_at IS NULL")
        .bind::<BigInt, _>(first)
        .bind::<BigInt, _>(last)
        .execute(connection)
        .await
}

/// The last number given.
pub(super) async fn head(connection: &mut AsyncPgConnection) -> QueryResult<i64> {
    sql("SELECT seq AS number FROM outbox_head").get_result(connection).await.map(|Number { number }| number)
}

/// The first number that a stream without memory is given: of the last hour, and no more than it can hold. Rows that
/// were never appended are among them, however old.
pub(super) async fn replay_from(connection: &mut AsyncPgConnection, seconds: f64, length: u64) -> QueryResult<i64> {
    let found: Number = sql("SELECT coalesce(
             (SELECT min(seq) FROM outbox
              WHERE (done_at IS NULL OR done_at > clock_timestamp() - make_interval(secs => $1))
                AND seq > (SELECT seq FROM outbox_head) - $2),
             (SELECT seq + 1 FROM outbox_head)) AS number")
    .bind::<Double, _>(seconds)
    .bind::<BigInt, _>(i64::try_from(length).unwrap_or(i64::MAX))
    .get_result(connection)
    .await?;
    Ok(found.number)
}

/// The run of Redis that the stream was last seen in.
pub(super) async fn run_id(connection: &mut AsyncPgConnection) -> QueryResult<Option<String>> {
    sql("SELECT run_id FROM outbox_head").get_result(connection).await.map(|RunId { run_id }| run_id)
}

/// Remembers it.
pub(super) async fn set_run_id(connection: &mut AsyncPgConnection, run_id: &str) -> QueryResult<()> {
    sql("UPDATE outbox_head SET run_id = $1").bind::<Text, _>(run_id).execute(connection).await.map(drop)
}

/// Deletes rows that were done `seconds` ago, at most `limit`; returns how many. Only ever the oldest ones: a row that was
/// done later than its successors keeps them, so that the log has no hole.
pub(super) async fn prune(connection: &mut AsyncPgConnection, seconds: f64, limit: u32) -> QueryResult<usize> {
    sql("DELETE FROM outbox WHERE seq IN (
             SELECT seq FROM outbox WHERE seq < coalesce(
                 (SELECT min(seq) FROM outbox
                  WHERE done_at IS NULL OR done_at >= clock_timestamp() - make_interval(secs => $1)),
                 (SELECT seq + 1 FROM outbox_head))
             ORDER BY seq LIMIT $2)")
    .bind::<Double, _>(seconds)
    .bind::<BigInt, _>(i64::from(limit))
    .execute(connection)
    .await
}

/// The log of a service's events, for its `GET /events`.
#[derive(Clone)]
pub struct Outbox {
    pool: Pool,
}

/// Why a stretch of the log cannot be given.
#[derive(Debug, thiserror::Error)]
pub enum OutboxError {
    /// Some of it has been deleted already.
    #[error("the events after {0} are no longer kept")]
    Pruned(u64),
    /// The database does not answer.
    #[error("the database is not available: {0}")]
    Unavailable(String),
}

impl Outbox {
    /// The outbox in the database of `pool`.
    pub fn new(pool: Pool) -> Self {
        Self { pool }
    }

    /// At most `limit` events after number `after`, without a hole.
    ///
    /// # Errors
    /// [`OutboxError::Pruned`] when the next one is no longer kept.
    pub async fn after(&self, after: u64, limit: u32) -> Result<EventPage, OutboxError> {
        let first = i64::try_from(after.saturating_add(1)).unwrap_or(i64::MAX);
        let read = async |connection: &mut AsyncPgConnection| {
            // The head first: a row that is numbered in between is more than was asked for, not less.
            let head = head(connection).await?;
            let rows = between(connection, first, i64::MAX, limit.min(PAGE)).await?;
            Ok::<_, database::Error>((head, rows))
        };
        let read = self.pool.run(read).await;
        let (head, rows) = read.map_err(|error| OutboxError::Unavailable(error.to_string()))?;
        let holes = rows.iter().zip(first..).any(|(row, seq)| row.seq != seq);
        if holes || (rows.is_empty() && first <= head) {
            return Err(OutboxError::Pruned(after));
        }
        let events: Result<Vec<Value>, _> = rows.iter().map(|row| serde_json::from_str(&row.event)).collect();
        let events = events.map_err(|error| OutboxError::Unavailable(error.to_string()))?;
        let last = rows.last().map_or(head, |row| row.seq.max(head));
        Ok(EventPage { events, head: last.unsigned_abs() })
    }
}

impl std::fmt::Debug for Outbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Outbox").finish_non_exhaustive()
    }
}
