//! Errors of a request. Each variant requires a different decision of the route.

use cache::error::LoadError;
use service::caching::Validator;

/// The reason why a request failed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum CartError {
    /// There is no such cart.
    #[error("there is no such cart")]
    NoCart,
    /// The product is not sold, or is no longer sold.
    #[error("there is no such product")]
    NoProduct,
    /// The client's preconditions do not hold for the current line; `None` if the product is not in the cart.
    #[error("the preconditions do not hold for the line")]
    PreconditionFailed(Option<Validator>),
    /// The cart already holds the maximum number of products.
    #[error("the cart is full")]
    Full,
    /// The price of so many pieces exceeds 64 bits.
    #[error("the price of the line would exceed 9223372036854775807 cents")]
    TooMuch,
    /// Nothing is known of the product at the moment.
    #[error("the product API does not answer, and nothing is known of product {0}")]
    ProductUnknown(i64),
    /// The database refused or did not respond. The error says whether the failure is transient.
    #[error("the database: {0}")]
    Database(#[from] database::Error),
    /// Too many views are being loaded.
    #[error("too many loads are under way")]
    Overloaded,
    /// A load timed out or ended without a result.
    #[error("not available: {0}")]
    Unavailable(String),
    /// A defect of this program.
    #[error("{0}")]
    Internal(String),
}

impl CartError {
    /// Returns whether a later attempt may succeed without a change of this program or of its settings.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::ProductUnknown(_) | Self::Overloaded | Self::Unavailable(_) => true,
            Self::Database(error) => error.is_transient(),
            Self::NoCart
            | Self::NoProduct
            | Self::PreconditionFailed(_)
            | Self::Full
            | Self::TooMuch
            | Self::Internal(_) => false,
        }
    }
}

database::as_database_error!(CartError);

impl From<serde_json::Error> for CartError {
    fn from(error: serde_json::Error) -> Self {
        Self::Internal(error.to_string())
    }
}

/// Returns the reason why a read through the cache failed.
impl From<LoadError> for CartError {
    fn from(error: LoadError) -> Self {
        match error.loader_error::<Self>() {
            Some(cause) => cause.clone(),
            None if error.is_bug() => Self::Internal(error.to_string()),
            None if matches!(error, LoadError::Overloaded) => Self::Overloaded,
            None => Self::Unavailable(error.to_string()),
        }
    }
}
