//! Failed writes, and whether they may be committed nevertheless.
//!
//! A transaction that failed before its COMMIT was sent has changed nothing. A transaction whose COMMIT failed is *in
//! doubt*: if the connection broke before Postgres responded, it may already be committed. A COMMIT that Postgres has
//! not read yet may still take effect, for at most [`PostgresSettings::commit_bound`].

use std::time::Duration;

use crate::connector::ANSWER_MARGIN;
use crate::settings::PostgresSettings;

/// The tolerance for late timers.
const MARGIN: Duration = Duration::from_secs(1);

/// A failed write.
#[derive(Debug)]
pub struct WriteError<T, E> {
    /// Why the write failed.
    pub cause: E,
    /// The value that the transaction would have committed, if its COMMIT was sent and failed.
    pub in_doubt: Option<T>,
}

impl<T, E> WriteError<T, E> {
    /// Returns the same failure for a part of the write.
    pub fn map<U>(self, part: impl FnOnce(T) -> U) -> WriteError<U, E> {
        WriteError { cause: self.cause, in_doubt: self.in_doubt.map(part) }
    }
}

/// A failure before a COMMIT was sent.
impl<T, E> From<E> for WriteError<T, E> {
    fn from(cause: E) -> Self {
        Self { cause, in_doubt: None }
    }
}

impl PostgresSettings {
    /// Returns the longest time for which a COMMIT can still take effect after its connection is lost.
    ///
    /// Postgres ends a session that stays silent within a transaction for longer than a statement and its response may
    /// take (`idle_in_transaction_session_timeout`). So Postgres reads the COMMIT within that time or never. The COMMIT
    /// itself is a statement, which `statement_timeout` ends. A Postgres that is suspended, or whose disk hangs while
    /// it writes the commit, may take longer. Without a `statement_timeout` there is no such limit.
    pub fn commit_bound(&self) -> Duration {
        self.statement_timeout + ANSWER_MARGIN + self.statement_timeout + MARGIN
    }
}
