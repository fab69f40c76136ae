//! Runs statements and transactions on a connection of the pool, and retries them where that helps.
//!
//! ```text
//! connection ─ work ─ ok
//!                 └── error: Postgres has rolled back
//!                       lost against another transaction → retry after a pause
//!                       stale plan                       → prepare again and retry on the same connection
//!                       read-only session                → retry, if a new session can write
//!                       session has ended                → retry once, in a new session
//!                       anything else                    → return the classified error
//! ```
//!
//! Work is only retried if it is certain that it had no effect: a connection that is lost during COMMIT is an error, and
//! so is one that is lost during a statement outside of a transaction, unless it only reads.

use std::future::Future;
use std::time::Duration;

use crate::attempts::{Attempts, Effect};
use crate::connector::{Connection, Limits};
use crate::error::AsDatabaseError;
use crate::pool::Pool;
use crate::write::WriteError;
use diesel::result::Error as DieselError;
use diesel_async::{AnsiTransactionManager, AsyncPgConnection, TransactionManager};

/// An async closure that can be called several times, and whose future may move between threads.
pub trait Work<C, R>: AsyncFn(C) -> R + Fn(C) -> <Self as Work<C, R>>::Future {
    /// The future that a call returns.
    type Future: Future<Output = R>;
}

impl<F, C, R, Fut> Work<C, R> for F
where
    F: AsyncFn(C) -> R + Fn(C) -> Fut,
    Fut: Future<Output = R>,
{
    type Future = Fut;
}

/// The properties of a transaction; see [`Pool::build_transaction`].
#[derive(Clone, Copy, Debug)]
#[must_use = "nothing happens until it is run"]
pub struct Transaction<'p> {
    pool: &'p Pool,
    repeatable_read: bool,
    read_only: bool,
    limits: Option<Limits>,
}

impl Pool {
    /// Runs statements that are transactions of their own. `work` is called again if one of them fails for a temporary
    /// reason, so at most one statement may write: the last one.
    ///
    /// # Errors
    /// Returns the errors of `work`, and an error if no connection is available.
    pub fn run<T, E, F>(&self, work: F) -> impl Future<Output = Result<T, E>> + Send
    where
        F: for<'r> AsyncFn(&'r mut AsyncPgConnection) -> Result<T, E>
            + for<'r> Work<&'r mut AsyncPgConnection, Result<T, E>, Future: Send>
            + Send
            + Sync,
        T: Send,
        E: AsDatabaseError + Send,
    {
        self.attempt(work, Effect::Unknown)
    }

    /// Runs statements that only read, as [`Pool::run`], and once more in a new session if theirs has ended.
    ///
    /// # Errors
    /// Returns the errors of `work`, and an error if no connection is available.
    pub fn read<T, E, F>(&self, work: F) -> impl Future<Output = Result<T, E>> + Send
    where
        F: for<'r> AsyncFn(&'r mut AsyncPgConnection) -> Result<T, E>
            + for<'r> Work<&'r mut AsyncPgConnection, Result<T, E>, Future: Send>
            + Send
            + Sync,
        T: Send,
        E: AsDatabaseError + Send,
    {
        self.attempt(work, Effect::None)
    }

    #[expect(
        clippy::manual_async_fn,
        reason = "it says that the future is `Send`, where an `async fn` leaves that to callers"
    )]
    fn attempt<T, E, F>(&self, work: F, effect: Effect) -> impl Future<Output = Result<T, E>> + Send
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
                        if !attempts.may_repeat(connection, &mut error, effect).await {
                            if effect == Effect::Unknown {
                                self.note_refusal(&mut error);
                            }
                            return Err(error);
                        }
                    }
                }
            }
        }
    }

    /// Runs `work` in a transaction, and commits if it returns `Ok`. The whole closure is called again if Postgres has
    /// rolled back for a temporary reason: the other effects of `work` must tolerate that.
    ///
    /// # Errors
    /// Returns the errors of `work`, after a rollback; and an error if no connection is available or the transaction is
    /// not committed.
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

    /// Records the reason why a write was refused, if it concerns all writes.
    fn note_refusal(&self, error: &mut impl AsDatabaseError) {
        if error.database_error().is_some_and(|error| error.is_disk_full()) {
            self.probe.note_full_disk();
        }
    }

    /// Runs a transaction, as [`Pool::transaction`], for a write of which other components must be notified: its error
    /// states whether the write is in doubt. A write in doubt is not retried.
    ///
    /// # Errors
    /// Returns the errors of [`Pool::transaction`].
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

    /// Returns a transaction whose properties can be set.
    pub fn build_transaction(&self) -> Transaction<'_> {
        Transaction { pool: self, repeatable_read: false, read_only: false, limits: None }
    }
}

impl<'p> Transaction<'p> {
    /// Lets all statements of the transaction see the same snapshot.
    pub fn repeatable_read(self) -> Self {
        Self { repeatable_read: true, ..self }
    }

    /// Makes the transaction read-only.
    pub fn read_only(self) -> Self {
        Self { read_only: true, ..self }
    }

    /// Limits each statement of the transaction to `limit`; `None` means no limit. The connection's watchdog uses the
    /// same limit, until another connection to this Postgres is found dead.
    pub fn statement_timeout(self, limit: Option<Duration>) -> Self {
        Self { limits: Some(Limits::of(limit)), ..self }
    }

    /// Divides the statement timeout of the pool among `statements`, so that all of them together take no longer than one
    /// statement may. A load of the cache needs this: its time limit includes one statement timeout.
    pub fn of_statements(self, statements: u32) -> Self {
        match self.pool.statement_timeout {
            Duration::ZERO => self,
            limit => self.statement_timeout(Some(limit / statements.max(1))),
        }
    }

    /// Runs the transaction; see [`Pool::transaction`].
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

    /// Runs the transaction as a write; see [`Pool::write`].
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
                    match AnsiTransactionManager::begin_transaction_sql(session, &begin).await {
                        Ok(()) => {
                            // From here on: a BEGIN without a response means that the connection is dead.
                            let _limit = self.limits.map(|limits| connection_state.allow(limits.silence()));
                            let outcome = work(session).await;
                            end(session, outcome).await
                        }
                        Err(error) => {
                            // It is unknown which parts of it were executed: the pool must not use the session again.
                            connection_state.close();
                            Err(E::from(error).into())
                        }
                    }
                };
                match outcome {
                    Ok(value) => return Ok(value),
                    // Only retried if Postgres has reported a rollback, so never while the write is in doubt.
                    Err(mut error) => {
                        let effect = if error.in_doubt.is_none() { Effect::None } else { Effect::Unknown };
                        if !attempts.may_repeat(connection, &mut error.cause, effect).await {
                            if !self.read_only {
                                self.pool.note_refusal(&mut error.cause);
                            }
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
            begin.push_str(&limits.transaction_sql());
        }
        begin
    }
}

/// Commits a successful transaction, and rolls back a failed one.
async fn end<T, E: From<DieselError>>(
    session: &mut AsyncPgConnection, outcome: Result<T, E>,
) -> Result<T, WriteError<T, E>> {
    match outcome {
        Ok(value) => match AnsiTransactionManager::commit_transaction(session).await {
            Ok(()) => Ok(value),
            Err(error) => Err(WriteError { cause: error.into(), in_doubt: Some(value) }),
        },
        Err(error) => {
            // If the rollback fails, the connection is broken, and the pool closes it.
            let _ = AnsiTransactionManager::rollback_transaction(session).await;
            Err(error.into())
        }
    }
}
