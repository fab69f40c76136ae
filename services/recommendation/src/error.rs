//! Errors of requests, event handlers and learning runs. The variants differ in how the caller proceeds.

use contract::cart_snapshot::SnapshotError;
use contract::product_api::ProductApiError;
use outbox::log::LogError;
use service::products_after::ReadError;

/// Why an operation failed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum RecommendationError {
    /// A dependency is unavailable or overloaded; a later attempt may succeed.
    #[error("not available: {0}")]
    Unavailable(String),
    /// The database refused the statement or did not respond; the error says whether it is transient.
    #[error("the database: {0}")]
    Database(#[from] database::Error),
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

database::as_database_error!(RecommendationError);

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

impl From<ReadError> for RecommendationError {
    fn from(error: ReadError) -> Self {
        Self::Unavailable(error.to_string())
    }
}

impl From<serde_json::Error> for RecommendationError {
    fn from(error: serde_json::Error) -> Self {
        Self::Internal(error.to_string())
    }
}
