//! Which events are carried out: one row per stream, written in the transaction of the effect.
//!
//! Replicas share the events of a stream, and one may be done with 11 to 20 while another still works on 5. What the row
//! holds is therefore a set of ranges. Where Redis has lost the consumer group, the next one begins before the first
//! number that is missing in the set; what is carried out once more then has no second effect.

use database::{Pool, sql};
use diesel::OptionalExtension;
use diesel::sql_types::{BigInt, Nullable, Text};
use diesel_async::{AsyncPgConnection, RunQueryDsl};

use crate::error::Failure;

/// So far behind the newest one, a missing number is passed over: it is of an event that became a dead letter.
const LATEST: i64 = 100_000;

/// The table `streams`. Cheap to clone.
#[derive(Clone)]
pub struct Positions {
    pool: Pool,
}

#[derive(diesel::QueryableByName)]
struct Row {
    #[diesel(sql_type = Nullable<BigInt>)]
    done: Option<i64>,
}

impl Positions {
    /// The table in the database of `pool`.
    pub fn new(pool: Pool) -> Self {
        Self { pool }
    }

    /// The number up to which everything is carried out; `None` when the stream has never been begun.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn of(&self, stream: &str) -> Result<Option<u64>, Failure> {
        let first = "SELECT (SELECT upper(first) - 1 FROM unnest(applied) AS first ORDER BY first LIMIT 1) AS done
                     FROM streams WHERE name = $1";
        let read = async |connection: &mut AsyncPgConnection| {
            Ok::<_, Failure>(sql(first).bind::<Text, _>(stream).get_result(connection).await.optional()?)
        };
        let row: Option<Row> = self.pool.run(read).await?;
        Ok(row.map(|row| row.done.unwrap_or(0).unsigned_abs()))
    }

    /// From now on everything up to `number` counts as carried out. Nothing above counts that was not carried out.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn begin(&self, stream: &str, number: u64) -> Result<(), Failure> {
        let begin = "INSERT INTO streams (name, applied) VALUES ($1, int8multirange(int8range(0, $2 + 1)))
             ON CONFLICT (name) DO UPDATE SET applied = streams.applied + excluded.applied";
        self.pool
            .run(async |connection| {
                let begin = sql(begin).bind::<Text, _>(stream).bind::<BigInt, _>(signed(number));
                begin.execute(connection).await?;
                Ok(())
            })
            .await
    }

    /// These events were set aside: they count as carried out.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn pass(&self, stream: &str, numbers: &[u64]) -> Result<(), Failure> {
        self.pool.run(async |connection| mark(connection, stream, numbers.iter().copied()).await).await
    }

    /// Forgets the position: the stream is of another database than before.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn forget(&self, stream: &str) -> Result<(), Failure> {
        let forget = "UPDATE streams SET applied = int8multirange(int8range(0, 1)) WHERE name = $1";
        self.pool
            .run(async |connection| {
                sql(forget).bind::<Text, _>(stream).execute(connection).await?;
                Ok(())
            })
            .await
    }

    /// The connections that it uses.
    pub fn pool(&self) -> &Pool {
        &self.pool
    }
}

/// These events are carried out, if the transaction commits. Its last statement: writers of a stream wait here.
pub(crate) async fn mark(
    connection: &mut AsyncPgConnection,
    stream: &str,
    numbers: impl Iterator<Item = u64>,
) -> Result<(), Failure> {
    let ranges: Vec<String> = numbers.map(|number| format!("[{number},{number}]")).collect();
    sql("INSERT INTO streams (name, applied) VALUES ($1, $2::text::int8multirange + int8multirange(int8range(0, 1)))
         ON CONFLICT (name) DO UPDATE SET applied = streams.applied + excluded.applied
             + int8multirange(int8range(0, greatest(upper(excluded.applied) - $3, 0)))")
    .bind::<Text, _>(stream)
    .bind::<Text, _>(format!("{{{}}}", ranges.join(",")))
    .bind::<BigInt, _>(LATEST)
    .execute(connection)
    .await?;
    Ok(())
}

/// As Postgres has numbers.
pub(crate) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

impl std::fmt::Debug for Positions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Positions")
    }
}
