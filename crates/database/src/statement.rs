//! Runs one statement on a connection of the pool.

use diesel_async::{AsyncPgConnection, RunQueryDsl};

use crate::error::Error;
use crate::pool::Pool;
use crate::sql::Sql;

impl Pool {
    /// Runs a statement that is a transaction of its own, as [`Pool::run`]: each attempt calls `statement` again. Returns
    /// how many rows the statement has changed.
    ///
    /// # Errors
    /// Returns the error of the statement, and an error if no connection is available.
    pub async fn run_sql<'f>(&self, statement: impl Fn() -> Sql<'f> + Send + Sync) -> Result<usize, Error> {
        self.run(async |connection: &mut AsyncPgConnection| Ok::<_, Error>(statement().execute(connection).await?))
            .await
    }
}
