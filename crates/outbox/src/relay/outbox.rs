//! The log of the outbox, for consumers that have missed events.

use database::{Pool, sql};
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Bool, Nullable, Uuid as SqlUuid};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use serde_json::Value;
use uuid::Uuid;

use super::table::{self, IS_PART};
use crate::log::{EventPage, LogPosition, PAGE};

#[derive(QueryableByName)]
struct LogHead {
    #[diesel(sql_type = BigInt)]
    seq: i64,
    #[diesel(sql_type = Nullable<SqlUuid>)]
    epoch: Option<Uuid>,
    #[diesel(sql_type = Bool)]
    known: bool,
}

#[derive(QueryableByName)]
struct LastEvent {
    #[diesel(sql_type = BigInt)]
    seq: i64,
    #[diesel(sql_type = BigInt)]
    unnumbered: i64,
}

/// The log of a service's events, for its `GET /events`.
#[derive(Clone, Debug)]
pub struct Outbox {
    pool: Pool,
}

/// Why a section of the log is unavailable.
#[derive(Debug, thiserror::Error)]
pub enum OutboxError {
    /// Some of the events have already been deleted.
    #[error("the events after {0} are no longer kept")]
    Pruned(u64),
    /// The event that the caller knows under this number is not part of this log.
    #[error("the log has another history than the one that event {0} belongs to")]
    Diverged(u64),
    /// The database does not respond.
    #[error("the database is not available: {0}")]
    Unavailable(String),
}

impl Outbox {
    /// Returns the outbox in the database of `pool`.
    pub fn new(pool: Pool) -> Self {
        Self { pool }
    }

    /// Returns the number of the last event of a committed transaction, or 0 if it has none that is still kept. `None`
    /// means that some of its events have no number yet.
    ///
    /// # Errors
    /// Returns [`OutboxError::Unavailable`] if the database does not respond.
    pub async fn position_of(&self, transaction: u64) -> Result<Option<u64>, OutboxError> {
        let transaction = i64::try_from(transaction).unwrap_or(i64::MAX);
        let find = async |connection: &mut AsyncPgConnection| {
            let found = sql("SELECT coalesce(max(seq), 0) AS seq, count(*) FILTER (WHERE seq IS NULL) AS unnumbered
                 FROM outbox WHERE transaction_id = $1")
            .bind::<BigInt, _>(transaction);
            Ok::<LastEvent, database::Error>(found.get_result(connection).await?)
        };
        let found = self.pool.read(find).await.map_err(|error| OutboxError::Unavailable(error.to_string()))?;
        Ok((found.unnumbered == 0).then_some(found.seq.unsigned_abs()))
    }

    /// Returns at most `limit` events after `position`, without a gap.
    ///
    /// # Errors
    /// Returns [`OutboxError::Diverged`] if `position` has an epoch and is not part of this log, [`OutboxError::Pruned`] if
    /// the next event is no longer kept, and [`OutboxError::Unavailable`] if the database does not respond.
    pub async fn after(&self, position: LogPosition, limit: u32) -> Result<EventPage, OutboxError> {
        let after = position.seq;
        let first = i64::try_from(after.saturating_add(1)).unwrap_or(i64::MAX);
        let find_head = format!(
            "SELECT seq, (SELECT epoch FROM outbox_epochs ORDER BY first_seq DESC LIMIT 1) AS epoch,
                 $2 IS NULL OR ({IS_PART}) AS known
             FROM outbox_head"
        );
        let read = async |connection: &mut AsyncPgConnection| {
            // The head is read first: a row that is numbered between the two queries is then in addition to the
            // expected rows, not missing.
            let head: LogHead = sql(find_head.clone())
                .bind::<BigInt, _>(i64::try_from(after).unwrap_or(i64::MAX))
                .bind::<Nullable<SqlUuid>, _>(position.epoch)
                .get_result(connection)
                .await?;
            let rows = if head.known {
                table::between(connection, first, i64::MAX, limit.min(PAGE)).await?
            } else {
                Vec::new()
            };
            Ok::<_, database::Error>((head, rows))
        };
        let read = self.pool.read(read).await;
        let (LogHead { seq: head, epoch, known }, rows) =
            read.map_err(|error| OutboxError::Unavailable(error.to_string()))?;
        if !known {
            return Err(OutboxError::Diverged(after));
        }
        let holes = rows.iter().zip(first..).any(|(row, seq)| row.seq != seq);
        if holes || (rows.is_empty() && first <= head) {
            return Err(OutboxError::Pruned(after));
        }
        let events: Result<Vec<Value>, _> = rows.iter().map(|row| serde_json::from_str(&row.event)).collect();
        let events = events.map_err(|error| OutboxError::Unavailable(error.to_string()))?;
        // A row that was numbered between the two queries may have begun an epoch.
        let newer = rows.last().filter(|row| row.seq > head).map(|row| (row.seq, row.epoch));
        let (head, epoch) = newer.unwrap_or((head, epoch));
        Ok(EventPage { events, head: head.unsigned_abs(), epoch })
    }
}
