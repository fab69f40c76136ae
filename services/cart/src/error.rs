//! What a request can fail with. Each variant is a decision for the edge.

use cache::GetError;
use database::AsDatabaseError;
use diesel::result::Error as DieselError;
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
    ProductUnknown(i64),
    /// The database refused or did not answer; the error tells whether that passes.
    #[error("the database: {0}")]
    Database(database::Error),
    /// Too many carts are being put together.
    #[error("too many loads are under way")]
    Overloaded,
    /// Something took too long, or ended without an answer.
    #[error("not available: {0}")]
    Unavailable(String),
    /// A fault of this program.
    #[error("{0}")]
    Internal(String),
}

impl CartError {
    /// Whether a later attempt may succeed, without a change of this program or of its settings.
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

    /// Whether the database refuses to be written to, and can be read.
    pub fn is_read_only(&self) -> bool {
        matches!(self, Self::Database(error) if error.class() == database::ErrorClass::ReadOnly)
    }
}

impl From<database::Error> for CartError {
    fn from(error: database::Error) -> Self {
        Self::Database(error)
    }
}

impl From<DieselError> for CartError {
    fn from(error: DieselError) -> Self {
        Self::Database(error.into())
    }
}

impl AsDatabaseError for CartError {
    fn database_error(&mut self) -> Option<&mut database::Error> {
        match self {
            Self::Database(error) => Some(error),
            _ => None,
        }
    }
}

impl From<serde_json::Error> for CartError {
    fn from(error: serde_json::Error) -> Self {
        Self::Internal(error.to_string())
    }
}

/// The reason that a fetch failed for.
impl From<GetError> for CartError {
    fn from(error: GetError) -> Self {
        match error.loader_error::<Self>() {
            Some(cause) => cause.clone(),
            None if matches!(error, GetError::Panicked) => Self::Internal(error.to_string()),
            None if matches!(error, GetError::Overloaded) => Self::Overloaded,
            None => Self::Unavailable(error.to_string()),
        }
    }
}
