//! What a request can fail with. Each variant is a decision for the edge.

use cache::FetchError;
use diesel::result::{DatabaseErrorKind, Error as DieselError};
use diesel_async::pooled_connection::deadpool::PoolError;
use runtime::validator::Validator;

/// Why something was not done.
#[derive(Clone, Debug, thiserror::Error)]
pub enum CartError {
    /// There is no such cart.
    #[error("there is no such cart")]
    NoCart,
    /// The product is not sold, or not any more.
    #[error("there is no such product")]
    NoProduct,
    /// The client's preconditions do not hold for the line as it is now; `None` when it is not in the cart.
    #[error("the preconditions do not hold for the line")]
    PreconditionFailed(Option<Validator>),
    /// The cart holds as many products as a cart may.
    #[error("the cart is full")]
    Full,
    /// So many pieces cost more than can be reckoned with.
    #[error("so many pieces cost too much")]
    TooMuch,
    /// Nobody can say anything about the product just now.
    #[error("the product API does not answer, and nothing is known of product {0}")]
    NobodyKnows(i64),
    /// The database cannot be reached, or has no connection or no time to spare.
    #[error("the database is not available: {0}")]
    Unavailable(String),
    /// A fault of this program.
    #[error("the database refused: {0}")]
    Internal(String),
}

impl From<PoolError> for CartError {
    fn from(error: PoolError) -> Self {
        Self::Unavailable(error.to_string())
    }
}

impl From<DieselError> for CartError {
    fn from(error: DieselError) -> Self {
        // A restart of Postgres ends the connections of the pool; the statement's time limit ends a statement.
        const PASSING: [&str; 6] = [
            "terminating connection",
            "statement timeout",
            "shutting down",
            "starting up",
            "connection closed",
            "deadlock detected",
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

impl From<serde_json::Error> for CartError {
    fn from(error: serde_json::Error) -> Self {
        Self::Internal(error.to_string())
    }
}

/// The reason that a fetch failed for.
impl From<FetchError> for CartError {
    fn from(error: FetchError) -> Self {
        match error.load_error::<Self>() {
            Some(cause) => cause.clone(),
            None if matches!(error, FetchError::Panicked) => Self::Internal(error.to_string()),
            None => Self::Unavailable(error.to_string()),
        }
    }
}
