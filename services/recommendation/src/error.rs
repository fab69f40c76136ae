//! Errors of requests, event handlers and learning runs. The variants differ in how the caller proceeds.

use contract::cart_snapshot::SnapshotError;
use contract::product_api::ProductApiError;
use database::AsDatabaseError;
use diesel::result::Error as DieselError;
use outbox::log::LogError;

/// Why an operation failed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum RecommendationError {
    /// A dependency is unavailable or overloaded; a later attempt may succeed.
    #[error("not available: {0}")]
    Unavailable(String),
    /// The database refused the statement or did not respond; the error says whether it is transient.
    #[error("the database: {0}")]
    Database(database::Error),
    /// A fault of this program.
    #[error("{0}")]
    Internal(String),
}

impl RecommendationError {
    /// Returns whether a later attempt may succeed without a change of this program or of its settings.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Unavailable(_) => true,
            Self::Database(error) => error.is_transient(),
            Self::Internal(_) => false,
        }
    }
}

impl From<database::Error> for RecommendationError {
    fn from(error: database::Error) -> Self {
        Self::Database(error)
    }
}

impl From<DieselError> for RecommendationError {
    fn from(error: DieselError) -> Self {
        Self::Database(error.into())
    }
}

impl AsDatabaseError for RecommendationError {
    fn database_error(&mut self) -> Option<&mut database::Error> {
        match self {
            Self::Database(error) => Some(error),
            Self::Unavailable(_) | Self::Internal(_) => None,
        }
    }
}

impl From<ProductApiError> for RecommendationError {
    fn from(error: ProductApiError) -> Self {
        Self::Unavailable(error.to_string())
    }
}

impl From<SnapshotError> for RecommendationError {
    fn from(error: SnapshotError) -> Self {
        Self::Unavailable(error.to_string())
    }
}

impl From<LogError> for RecommendationError {
    fn from(error: LogError) -> Self {
        Self::Unavailable(error.to_string())
    }
}

impl From<serde_json::Error> for RecommendationError {
    fn from(error: serde_json::Error) -> Self {
        Self::Internal(error.to_string())
    }
}
