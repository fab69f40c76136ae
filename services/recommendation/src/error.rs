//! What a request, a reaction or a lesson can fail with. Each variant is a decision for somebody.

use diesel::result::{DatabaseErrorKind, Error as DieselError};
use diesel_async::pooled_connection::deadpool::PoolError;
use events::log::LogError;
use events::product_api::Unavailable;

/// Why something was not done.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Failure {
    /// Something that it needs is away, or has no time to spare: worth another try.
    #[error("not available: {0}")]
    Unavailable(String),
    /// A fault of this program.
    #[error("the database refused: {0}")]
    Internal(String),
}

impl From<PoolError> for Failure {
    fn from(error: PoolError) -> Self {
        Self::Unavailable(error.to_string())
    }
}

impl From<DieselError> for Failure {
    fn from(error: DieselError) -> Self {
        // A restart of Postgres ends the connections of the pool; the statement's time limit ends a statement; a full disk
        // is emptied, a standby promoted. Diesel does not hand on the SQLSTATE, so the words have to do.
        const PASSING: [&str; 13] = [
            "terminating connection",
            "statement timeout",
            "shutting down",
            "starting up",
            "connection closed",
            "deadlock detected",
            "could not serialize",
            "No space left on device",
            "out of memory",
            "out of shared memory",
            "read-only transaction",
            "too many clients",
            "lock timeout",
        ];
        let passes = match &error {
            DieselError::BrokenTransactionManager => true,
            DieselError::DatabaseError(kind, info) => {
                matches!(kind, DatabaseErrorKind::ClosedConnection | DatabaseErrorKind::UnableToSendCommand)
                    || PASSING.iter().any(|passing| info.message().contains(passing))
            }
            _ => false,
        };
        if passes { Self::Unavailable(error.to_string()) } else { Self::Internal(error.to_string()) }
    }
}

impl From<Unavailable> for Failure {
    fn from(error: Unavailable) -> Self {
        Self::Unavailable(error.to_string())
    }
}

impl From<LogError> for Failure {
    fn from(error: LogError) -> Self {
        Self::Unavailable(error.to_string())
    }
}

impl From<serde_json::Error> for Failure {
    fn from(error: serde_json::Error) -> Self {
        Self::Internal(error.to_string())
    }
}
