//! What can go wrong with the catalogue: each variant is a decision for whoever called.

use database::WriteError;
use diesel::result::{DatabaseErrorKind, Error as DieselError};
use diesel_async::pooled_connection::deadpool::PoolError;
use runtime::validator::Validator;

/// Why a query or a change was not carried out. What it means for a change whose COMMIT failed is up to [`WriteError`].
#[derive(Debug, thiserror::Error)]
pub enum CatalogueError {
    /// There is no such row.
    #[error("there is no such {0}")]
    NotFound(&'static str),
    /// The client's preconditions do not hold for the row as it is now, whose validator this is.
    #[error("the preconditions do not hold for the current validator {0}")]
    PreconditionFailed(Validator),
    /// The product's category does not exist.
    #[error("there is no such category")]
    UnknownCategory,
    /// Another category has that name.
    #[error("another category has that name")]
    NameTaken,
    /// The database cannot be reached, or has no connection or no time to spare.
    #[error("the database is not available: {0}")]
    Unavailable(String),
    /// A fault of this program.
    #[error("the database refused: {0}")]
    Internal(String),
}

/// For a writer that invalidates nothing: it need not know whether the write is in doubt.
impl<T> From<WriteError<T, Self>> for CatalogueError {
    fn from(error: WriteError<T, Self>) -> Self {
        error.cause
    }
}

impl From<PoolError> for CatalogueError {
    fn from(error: PoolError) -> Self {
        Self::Unavailable(error.to_string())
    }
}

impl From<serde_json::Error> for CatalogueError {
    fn from(error: serde_json::Error) -> Self {
        Self::Internal(error.to_string())
    }
}

impl From<DieselError> for CatalogueError {
    fn from(error: DieselError) -> Self {
        let DieselError::DatabaseError(kind, info) = &error else {
            return match error {
                DieselError::BrokenTransactionManager => Self::Unavailable(error.to_string()),
                _ => Self::Internal(error.to_string()),
            };
        };
        match kind {
            DatabaseErrorKind::ForeignKeyViolation => Self::UnknownCategory,
            DatabaseErrorKind::UniqueViolation if info.constraint_name() == Some("categories_name_key") => {
                Self::NameTaken
            }
            // A restart of Postgres ends the connections of the pool; the statement's time limit ends a statement.
            DatabaseErrorKind::ClosedConnection | DatabaseErrorKind::UnableToSendCommand => {
                Self::Unavailable(error.to_string())
            }
            _ if [
                "terminating connection",
                "statement timeout",
                "shutting down",
                "starting up",
                "connection closed",
            ]
            .iter()
            .any(|passing| info.message().contains(passing)) =>
            {
                Self::Unavailable(error.to_string())
            }
            _ => Self::Internal(error.to_string()),
        }
    }
}
