//! Errors of the catalogue. Each variant requires a different decision of the caller.

use database::{ErrorClass, WriteError};
use service::caching::Validator;

/// The reason why a query or a change failed. [`WriteError`] says whether a change is in doubt after a failed COMMIT.
#[derive(Debug, thiserror::Error)]
pub enum CatalogueError {
    /// There is no such row.
    #[error("there is no such {0}")]
    NotFound(&'static str),
    /// The client's preconditions do not hold for the current row, which has this validator.
    #[error("the preconditions do not hold for the current validator {0}")]
    PreconditionFailed(Validator),
    /// The product's category does not exist.
    #[error("there is no such category")]
    UnknownCategory,
    /// Another category has that name.
    #[error("another category has that name")]
    NameTaken,
    /// The database refused or did not respond. The error says whether the failure is transient.
    #[error("the database: {0}")]
    Database(database::Error),
    /// A defect of this program.
    #[error("{0}")]
    Internal(String),
}

impl From<database::Error> for CatalogueError {
    fn from(error: database::Error) -> Self {
        match error.class() {
            // A table of the operator may refer to products, too.
            ErrorClass::ForeignKeyViolation if error.constraint() == Some("products_category_exists") => {
                Self::UnknownCategory
            }
            ErrorClass::UniqueViolation if error.violates_unique("categories_name_key") => Self::NameTaken,
            _ => Self::Database(error),
        }
    }
}

/// For a writer that invalidates nothing and therefore need not know whether the write is in doubt.
impl<T> From<WriteError<T, Self>> for CatalogueError {
    fn from(error: WriteError<T, Self>) -> Self {
        error.cause
    }
}

impl From<serde_json::Error> for CatalogueError {
    fn from(error: serde_json::Error) -> Self {
        Self::Internal(error.to_string())
    }
}

database::as_database_error!(CatalogueError);
