//! The queries of the outbox table.

use database::sql;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Bool, Double, Nullable, Text, Uuid as SqlUuid};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use serde_json::{Value, json};
use tracing::warn;
use uuid::Uuid;

use super::hook::OutboxEvent;
use crate::event::{Event, EventData, Unreadable};

/// A numbered row.
#[derive(Clone, Debug, QueryableByName)]
pub(super) struct Row {
    #[diesel(sql_type = BigInt)]
    pub(super) seq: i64,
    /// The event with its number, as it is published.
    #[diesel(sql_type = Text)]
    pub(super) event: String,
    /// Whether the row has been appended once: the subscribers of the channel have received it.
    #[diesel(sql_type = Bool)]
    pub(super) done: bool,
    /// The name that the writing transaction set.
    #[diesel(sql_type = Nullable<Text>)]
    pub(super) writer: Option<String>,
    #[diesel(sql_type = Nullable<SqlUuid>)]
    pub(super) epoch: Option<Uuid>,
    #[diesel(sql_type = Nullable<SqlUuid>)]
    pub(super) previous_epoch: Option<Uuid>,
}

impl Row {
    /// Returns the row with an event that every parser accepts: Postgres accepts numbers and depths that others refuse. Such an
    /// event becomes a text in an event of its own, so that it hides no other event.
    fn parsable(self) -> Self {
        // A page of the log has the event two levels deeper.
        let is_parsable = serde_json::from_str::<Value>(&format!("[[{}]]", self.event)).is_ok();
        match is_parsable {
            true => self,
            false => {
                let event = json!({ "seq": self.seq, "epoch": self.epoch, "unreadable": self.event }).to_string();
                Self { event, ..self }
            }
        }
    }

    /// Parses the event. `types` are the values of `type` that `T` supports.
    pub(super) fn parse<T: EventData>(&self, types: &[&str]) -> Result<OutboxEvent<T>, Unreadable> {
        let event = Event::parse(self.event.as_bytes(), types)?;
        Ok(OutboxEvent { event, writer: self.writer.clone() })
    }
}

/// Rows with their epochs: for each number, the last epoch that began at it or before it.
const ROW: &str = "seq, done_at IS NOT NULL AS done, writer, epoch, previous_epoch,
    (event || jsonb_strip_nulls(jsonb_build_object('seq', seq, 'epoch', epoch)))::text AS event
    FROM (SELECT *,
        (SELECT e.epoch FROM outbox_epochs e WHERE e.first_seq <= outbox.seq ORDER BY e.first_seq DESC LIMIT 1) AS epoch,
        (SELECT e.epoch FROM outbox_epochs e WHERE e.first_seq < outbox.seq ORDER BY e.first_seq DESC LIMIT 1)
            AS previous_epoch
        FROM outbox) AS outbox";

/// The approximate number of remembered epochs. A position of an older epoch counts as part of another history.
const EPOCHS: i64 = 10_000;

/// The content of `outbox_head`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, QueryableByName)]
pub(super) struct Head {
    /// The last assigned number.
    #[diesel(sql_type = BigInt)]
    pub(super) seq: i64,
    /// The epoch of the next numbers.
    #[diesel(sql_type = SqlUuid)]
    pub(super) epoch: Uuid,
}

impl Head {
    /// Records that the database is at `head`. Returns whether the epoch is still the same: another relay begins an
    /// epoch when it connects, and a restore also leads to another epoch.
    pub(super) fn observe(&mut self, head: Head) -> bool {
        let is_same = self.epoch == head.epoch;
        (self.seq, self.epoch) = (self.seq.max(head.seq), head.epoch);
        is_same
    }
}

#[derive(QueryableByName)]
struct HistoryRow {
    #[diesel(sql_type = Bool)]
    known: bool,
}

/// Whether event $1 of epoch $2 is part of the history: the epoch is known, and it or an earlier epoch assigned the
/// number. Rows that were numbered before the introduction of epochs have none.
pub(super) const IS_PART: &str = "CASE
    WHEN $2 IS NULL THEN $1 <= coalesce((SELECT min(first_seq) - 1 FROM outbox_epochs), (SELECT seq FROM outbox_head))
    ELSE EXISTS (SELECT FROM outbox_epochs mine WHERE mine.epoch = $2 AND $1 <= coalesce(
        (SELECT min(first_seq) - 1 FROM outbox_epochs WHERE first_seq > mine.first_seq), (SELECT seq FROM outbox_head)))
    END";

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

/// Begins an epoch. It distinguishes all later numbers from those that this database may have assigned before it was
/// restored. Epochs that began after the database's last number belong to such a lost future, and are deleted.
///
/// Call it on every new connection: a restore breaks the existing connections.
pub(super) async fn begin_epoch(connection: &mut AsyncPgConnection) -> QueryResult<Head> {
    sql("DELETE FROM outbox_epochs WHERE first_seq > (SELECT seq FROM outbox_head)
             OR first_seq < (SELECT first_seq FROM outbox_epochs ORDER BY first_seq DESC OFFSET $1 LIMIT 1)")
    .bind::<BigInt, _>(EPOCHS)
    .execute(connection)
    .await?;
    sql("UPDATE outbox_head SET epoch = gen_random_uuid() RETURNING seq, epoch").get_result(connection).await
}

/// Returns whether event `seq` of this epoch is part of the history.
pub(super) async fn is_part(connection: &mut AsyncPgConnection, seq: i64, epoch: Option<Uuid>) -> QueryResult<bool> {
    sql(format!("SELECT {IS_PART} AS known"))
        .bind::<BigInt, _>(seq)
        .bind::<Nullable<SqlUuid>, _>(epoch)
        .get_result(connection)
        .await
        .map(|HistoryRow { known }| known)
}

/// Numbers at most `limit` committed rows and returns them, by number. Numbers nothing if the last assigned number is
/// below `at_least`, which the caller has read before: then the database has been restored in the meantime, and a new
/// epoch must begin.
///
/// One statement, so that the lock of `outbox_head` is held for one round trip, even if this process dies. A process
/// that waits for that lock sees the head as the other process left it, and skips the rows that the other process took.
pub(super) async fn number(connection: &mut AsyncPgConnection, limit: u32, at_least: i64) -> QueryResult<Vec<Row>> {
    let mut rows: Vec<Row> = sql(
        "WITH
         head AS MATERIALIZED (SELECT seq, epoch, last_epoch FROM outbox_head WHERE seq >= $2 FOR UPDATE),
         taken AS MATERIALIZED (
             SELECT id FROM outbox WHERE seq IS NULL AND EXISTS (SELECT FROM head)
             ORDER BY id LIMIT $1 FOR UPDATE SKIP LOCKED),
         numbered AS (SELECT id, (SELECT seq FROM head) + row_number() OVER (ORDER BY id) AS seq FROM taken),
         moved AS (UPDATE outbox_head SET seq = seq + (SELECT count(*) FROM taken), last_epoch = epoch
                   WHERE EXISTS (SELECT FROM taken)),
         begun AS (INSERT INTO outbox_epochs (epoch, first_seq)
                   SELECT epoch, seq + 1 FROM head
                   WHERE last_epoch IS DISTINCT FROM epoch AND EXISTS (SELECT FROM taken))
         UPDATE outbox SET seq = numbered.seq FROM numbered WHERE outbox.id = numbered.id
         RETURNING outbox.seq, false AS done, outbox.writer, (SELECT epoch FROM head) AS epoch,
             (SELECT last_epoch FROM head) AS previous_epoch,
             (outbox.event || jsonb_build_object('seq', outbox.seq, 'epoch', (SELECT epoch FROM head)))::text AS event",
    )
    .bind::<BigInt, _>(i64::from(limit))
    .bind::<BigInt, _>(at_least)
    .load(connection)
    .await?;
    rows.sort_unstable_by_key(|row| row.seq);
    Ok(parsable(rows))
}

/// Returns the numbered rows that have not been appended for `age` seconds, by number.
pub(super) async fn unfinished(connection: &mut AsyncPgConnection, age: f64, limit: u32) -> QueryResult<Vec<Row>> {
    sql(format!(
        "SELECT {ROW}
         WHERE done_at IS NULL AND seq IS NOT NULL AND occurred_at <= clock_timestamp() - make_interval(secs => $1)
         ORDER BY seq LIMIT $2"
    ))
    .bind::<Double, _>(age)
    .bind::<BigInt, _>(i64::from(limit))
    .load(connection)
    .await
    .map(parsable)
}

/// Returns the rows `first` to `last`, at most `limit`, by number.
pub(super) async fn between(
    connection: &mut AsyncPgConnection, first: i64, last: i64, limit: u32,
) -> QueryResult<Vec<Row>> {
    sql(format!("SELECT {ROW} WHERE seq BETWEEN $1 AND $2 ORDER BY seq LIMIT $3"))
        .bind::<BigInt, _>(first)
        .bind::<BigInt, _>(last)
        .bind::<BigInt, _>(i64::from(limit))
        .load(connection)
        .await
        .map(parsable)
}

fn parsable(rows: Vec<Row>) -> Vec<Row> {
    rows.into_iter().map(Row::parsable).collect()
}

pub(super) async fn done(connection: &mut AsyncPgConnection, first: i64, last: i64) -> QueryResult<usize> {
    sql("UPDATE outbox SET done_at = clock_timestamp() WHERE seq BETWEEN $1 AND $2 AND done_at IS NULL")
        .bind::<BigInt, _>(first)
        .bind::<BigInt, _>(last)
        .execute(connection)
        .await
}

/// Returns the last assigned number, and the epoch of the next numbers.
pub(super) async fn head(connection: &mut AsyncPgConnection) -> QueryResult<Head> {
    sql("SELECT seq, epoch FROM outbox_head").get_result(connection).await
}

/// Returns the first number of a replay into an empty stream: of the last `seconds`, and of no more rows than the
/// stream can hold. Rows that were never appended are included, regardless of their age.
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

/// Returns the run id of the Redis server in which the stream was last seen.
pub(super) async fn run_id(connection: &mut AsyncPgConnection) -> QueryResult<Option<String>> {
    sql("SELECT run_id FROM outbox_head").get_result(connection).await.map(|RunId { run_id }| run_id)
}

pub(super) async fn set_run_id(connection: &mut AsyncPgConnection, run_id: &str) -> QueryResult<()> {
    sql("UPDATE outbox_head SET run_id = $1").bind::<Text, _>(run_id).execute(connection).await.map(drop)
}

/// Deletes at most `limit` rows that were appended more than `seconds` ago; returns how many. Only deletes the oldest
/// rows: a row that was appended later than its successors also keeps them, so that the log has no gap.
pub(super) async fn prune(connection: &mut AsyncPgConnection, seconds: f64, limit: u32) -> QueryResult<usize> {
    // Looks at no other rows: there may be millions.
    sql("WITH oldest AS MATERIALIZED (
             SELECT seq, coalesce(done_at < clock_timestamp() - make_interval(secs => $1), false) AS is_over
             FROM outbox WHERE seq IS NOT NULL ORDER BY seq LIMIT $2)
         DELETE FROM outbox WHERE seq IN (
             SELECT seq FROM oldest
             WHERE seq < coalesce((SELECT min(seq) FROM oldest WHERE NOT is_over), 9223372036854775807))")
    .bind::<Double, _>(seconds)
    .bind::<BigInt, _>(i64::from(limit))
    .execute(connection)
    .await
}

/// Parses those of `rows` that are events. The others are appended as well: consumers write them to the dead letters.
pub(super) fn readable<T: EventData>(rows: &[Row], types: &[&str]) -> Vec<OutboxEvent<T>> {
    rows.iter().filter_map(|row| row.parse(types).ok()).collect()
}

/// Logs unreadable rows once, after they are appended, and not at each attempt: a client may write arbitrary rows to the
/// outbox by hand. `read` are those that are readable.
pub(super) fn warn_of_unreadable<T: EventData>(rows: &[Row], read: &[OutboxEvent<T>], types: &[&str]) {
    let all_read = rows.len() == read.len();
    for row in rows.iter().filter(|_| !all_read) {
        if let Err(error) = row.parse::<T>(types) {
            warn!(seq = row.seq, %error, "a row of the outbox is not a valid event; it is appended nonetheless");
        }
    }
}
