//! The failure of an operation on Redis.

/// The operation was not carried out.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum StoreError {
    /// Not sent (breaker open) or not answered in time. A command that was sent may still run.
    #[error("Redis is unavailable: {0}")]
    Unavailable(String),
    /// Answered with an error, such as OOM.
    #[error("Redis answered: {0}")]
    Server(String),
}

pub(crate) type Result<T> = std::result::Result<T, StoreError>;
