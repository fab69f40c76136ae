//! Statements and transactions on a connection of the pool, repeated where that helps.
//!
//! ```text
//! connection ─ work ─ ok
//!                 └── error: Postgres has rolled back
//!                       lost against another transaction → a pause, and once more
//!                       stale plan                       → once more on the same connection, prepared anew
//!                       read-only session                → once more, if a new session can write
//!                       anything else                    → the error, with what it calls for
//! ```
//!
//! Nothing is repeated of which it is not known that it had no effect: a connection that is lost during COMMIT is an error.

use std::future::Future;
use std::time::Duration;

use diesel::result::Error as DieselError;
use diesel_async::{AnsiTransactionManager, AsyncPgConnection, TransactionManager};
use rand::Rng;
use tokio::time::{Instant, sleep};
use tracing::debug;

use crate::error::{AsDatabaseError, Error};
use crate::pool::{Connection, Limits, Pool, PooledConnection};
use crate::sqlstate::ErrorClass;
use crate::write::WriteError;

/// How often the same is tried in all.
const ATTEMPTS: u32 = 5;

/// The pause before the second attempt is up to so long; each further one is up to twice as long.
const FIRST_BACKOFF: Duration = Duration::from_millis(10);

/// No attempt begins later than this after the first.
const MAX_RETRY_TIME: Duration = Duration::from_secs(5);

/// An async closure that can be called again, and whose future may move between threads.
pub trait Work<C, R>: AsyncFn(C) -> R + Fn(C) -> <Self as Work<C, R>>::Future {
    /// What a call returns.
    type Future: Future<Output = R>;
}

impl<F, C, R, Fut> Work<C, R> for F
where
    F: AsyncFn(C) -> R + Fn(C) -> Fut,
    Fut: Future<Output = R>,
{
    type Future = Fut;
}

/// How a transaction is to be begun; see [`Pool::build_transaction`].
#[derive(Clone, Copy, Debug)]
#[must_use = "nothing happens until it is run"]
pub struct Transaction<'p> {
    pool: &'p Pool,
    repeatable_read: bool,
    read_only: bool,
    limits: Option<Limits>,
}

impl Pool {
    /// Runs statements that are transactions of their own. `work` is called again when one of them is refused for a reason
    /// that passes, so it must have at most one that writes, the last one.
    ///
    /// # Errors
    /// Those of `work`, and when no connection can be had.
    #[expect(
        clippy::manual_async_fn,
        reason = "it says that the future is `Send`, where an `async fn` leaves that to callers"
    )]
    pub fn run<T, E, F>(&self, work: F) -> impl Future<Output = Result<T, E>> + Send
    where
        F: for<'r> AsyncFn(&'r mut AsyncPgConnection) -> Result<T, E>
            + for<'r> Work<&'r mut AsyncPgConnection, Result<T, E>, Future: Send>
            + Send
            + Sync,
        T: Send,
        E: AsDatabaseError + Send,
    {
        async move {
            let mut attempts = Attempts::on(self);
            loop {
                let mut connection = attempts.connection().await?;
                match work(&mut connection.session).await {
                    Ok(value) => return Ok(value),
                    Err(mut error) => {
                        if !attempts.may_repeat(connection, &mut error).await {
                            return Err(error);
                        }
                    }
                }
            }
        }
    }

    /// Runs `work` in a transaction, and commits when it returns `Ok`. The whole of it is repeated when Postgres has rolled it
    /// back for a reason that passes: whatever else `work` does must bear that.
    ///
    /// # Errors
    /// Those of `work`, after a rollback; and when no connection can be had or the transaction is not committed.
    pub fn transaction<T, E, F>(&self, work: F) -> impl Future<Output = Result<T, E>> + Send
    where
        F: for<'r> AsyncFn(&'r mut AsyncPgConnection) -> Result<T, E>
            + for<'r> Work<&'r mut AsyncPgConnection, Result<T, E>, Future: Send>
            + Send
            + Sync,
        T: Send,
        E: AsDatabaseError + Send,
    {
        self.build_transaction().run(work)
    }

    /// The same for a write that others have to be told of: where it fails, the error says whether it is in doubt. A write in
    /// doubt is not repeated.
    ///
    /// # Errors
    /// Those of [`Pool::transaction`].
    pub fn write<T, E, F>(&self, work: F) -> impl Future<Output = Result<T, WriteError<T, E>>> + Send
    where
        F: for<'r> AsyncFn(&'r mut AsyncPgConnection) -> Result<T, E>
            + for<'r> Work<&'r mut AsyncPgConnection, Result<T, E>, Future: Send>
            + Send
            + Sync,
        T: Send,
        E: AsDatabaseError + Send,
    {
        self.build_transaction().write(work)
    }

    /// A transaction with properties of its own.
    pub fn build_transaction(&self) -> Transaction<'_> {
        Transaction { pool: self, repeatable_read: false, read_only: false, limits: None }
    }
}

impl<'p> Transaction<'p> {
    /// All of its statements see the same snapshot.
    pub fn repeatable_read(self) -> Self {
        Self { repeatable_read: true, ..self }
    }

    /// It does not write.
    pub fn read_only(self) -> Self {
        Self { read_only: true, ..self }
    }

    /// Each of its statements may take so long; `None` is without limit. The watchdog of the connection follows.
    pub fn statement_timeout(self, limit: Option<Duration>) -> Self {
        Self { limits: Some(Limits::of(limit)), ..self }
    }

    /// See [`Pool::transaction`].
    ///
    /// # Errors
    /// See [`Pool::transaction`].
    pub fn run<T, E, F>(self, work: F) -> impl Future<Output = Result<T, E>> + Send + use<'p, T, E, F>
    where
        F: for<'r> AsyncFn(&'r mut AsyncPgConnection) -> Result<T, E>
            + for<'r> Work<&'r mut AsyncPgConnection, Result<T, E>, Future: Send>
            + Send
            + Sync,
        T: Send,
        E: AsDatabaseError + Send,
    {
        let written = self.write(work);
        async move { written.await.map_err(|error| error.cause) }
    }

    /// See [`Pool::write`].
    ///
    /// # Errors
    /// See [`Pool::write`].
    #[expect(
        clippy::manual_async_fn,
        reason = "it says that the future is `Send`, where an `async fn` leaves that to callers"
    )]
    pub fn write<T, E, F>(self, work: F) -> impl Future<Output = Result<T, WriteError<T, E>>> + Send + use<'p, T, E, F>
    where
        F: for<'r> AsyncFn(&'r mut AsyncPgConnection) -> Result<T, E>
            + for<'r> Work<&'r mut AsyncPgConnection, Result<T, E>, Future: Send>
            + Send
            + Sync,
        T: Send,
        E: AsDatabaseError + Send,
    {
        async move {
            let mut attempts = Attempts::on(self.pool);
            let begin = self.begin();
            loop {
                let mut connection = attempts.connection().await.map_err(E::from)?;
                let outcome = {
                    let Connection { session, connection_state, .. } = &mut *connection;
                    let _limit = self.limits.map(|limits| connection_state.allow(limits.silence()));
                    match AnsiTransactionManager::begin_transaction_sql(session, &begin).await {
                        Ok(()) => {
                            let outcome = work(session).await;
                            end(session, outcome).await
                        }
                        Err(error) => {
                            // How much of it was carried out is not known: the pool must not use the session again.
                            connection_state.close();
                            Err(E::from(error).into())
                        }
                    }
                };
                match outcome {
                    Ok(value) => return Ok(value),
                    // Repeated where Postgres has said that it rolled back, so never while it is in doubt.
                    Err(mut error) => {
                        if !attempts.may_repeat(connection, &mut error.cause).await {
                            return Err(error);
                        }
                    }
                }
            }
        }
    }

    fn begin(&self) -> String {
        let mut begin = "BEGIN".to_owned();
        if self.repeatable_read {
            begin.push_str(" ISOLATION LEVEL REPEATABLE READ");
        }
        if self.read_only {
            begin.push_str(" READ ONLY");
        }
        if let Some(limits) = self.limits {
            begin.push_str("; ");
            begin.push_str(&limits.sql("SET LOCAL"));
        }
        begin
    }
}

/// Commits what went well, and rolls back what did not.
async fn end<T, E: From<DieselError>>(
    session: &mut AsyncPgConnection,
    outcome: Result<T, E>,
) -> Result<T, WriteError<T, E>> {
    match outcome {
        Ok(value) => match AnsiTransactionManager::commit_transaction(session).await {
            Ok(()) => Ok(value),
            Err(error) => Err(WriteError { cause: error.into(), in_doubt: Some(value) }),
        },
        Err(error) => {
            // When that fails, the connection is broken, and the pool closes it.
            let _ = AnsiTransactionManager::rollback_transaction(session).await;
            Err(error.into())
        }
    }
}

/// See the [module](self).
struct Attempts<'p> {
    pool: &'p Pool,
    began: Instant,
    number: u32,
    pause: Duration,
    reusable: Option<PooledConnection>,
}

impl<'p> Attempts<'p> {
    fn on(pool: &'p Pool) -> Self {
        Self { pool, began: Instant::now(), number: 0, pause: FIRST_BACKOFF, reusable: None }
    }

    /// The connection for the next attempt.
    async fn connection(&mut self) -> Result<PooledConnection, Error> {
        self.number += 1;
        let connection = match self.reusable.take() {
            Some(connection) => connection,
            None => self.pool.connection().await?,
        };
        connection.connection_state.clear_errors();
        Ok(connection)
    }

    /// Whether to try once more after this error, which is completed. Waits before it says so.
    async fn may_repeat<E: AsDatabaseError>(&mut self, mut connection: PooledConnection, error: &mut E) -> bool {
        let Some(cause) = error.database_error() else { return false };
        cause.complete(&connection.connection_state.server_errors());
        if self.number >= ATTEMPTS || self.began.elapsed() >= MAX_RETRY_TIME {
            return false;
        }
        match cause.class() {
            ErrorClass::StalePlan => {
                connection.clear_prepared();
                self.reusable = Some(connection);
            }
            ErrorClass::Contention => {
                debug!(%cause, attempt = self.number, "a transaction lost against another one and is repeated");
                drop(connection);
                let jittered = rand::rng().random_range(Duration::ZERO..self.pause);
                sleep(jittered).await;
                self.pause *= 2;
            }
            ErrorClass::ReadOnly => {
                drop(connection);
                return self.pool.probe.new_sessions_can_write().await;
            }
            _ => return false,
        }
        true
    }
}
