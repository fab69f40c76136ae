//! Errors of the carts and the cache as RFC 9457 problems.

use cache::Invalidated;
use cache::error::LoadError;
use service::caching::precondition_failed;
use service::problem::{Problem, RETRY_AFTER};

use crate::error::CartError;

/// Maps an error of the service to the problem that the client receives.
pub(super) fn shop(error: CartError) -> Problem {
    match error {
        CartError::NoCart => Problem::not_found("There is no such cart."),
        CartError::NoProduct => Problem::not_found("There is no such product."),
        CartError::PreconditionFailed(current) => precondition_failed(current.as_ref()),
        CartError::Full => Problem::conflict("The cart holds as many products as a cart may: 100."),
        CartError::TooMuch => {
            Problem::invalid_field("quantity", "the price of so many pieces would exceed 9223372036854775807 cents")
        }
        CartError::Overloaded => Problem::overloaded(RETRY_AFTER, error.to_string()),
        CartError::ProductUnknown(_) | CartError::Unavailable(_) => Problem::unavailable(RETRY_AFTER, error),
        CartError::Database(cause) => Problem::of_database(&cause),
        CartError::Internal(cause) => Problem::internal(cause),
    }
}

/// Maps an error of a read through the cache to the problem that the client receives.
pub(super) fn fetch(error: LoadError) -> Problem {
    Problem::of_read(error, |cause: &CartError| shop(cause.clone()))
}

/// Returns the effect of a write on the view, for `Cache-Status`.
pub(super) fn effect(invalidated: Invalidated) -> &'static str {
    match invalidated {
        Invalidated::Done { .. } => "invalidated",
        Invalidated::Deferred => "deferred",
    }
}
