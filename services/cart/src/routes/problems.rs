//! Errors of the carts and the cache as RFC 9457 problems.

use std::time::Duration;

use cache::{GetError, Invalidated};
use runtime::conditions;
use runtime::problem::Problem;

use crate::error::CartError;

/// The `Retry-After` of a 503.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Maps an error of the service to the problem that the client receives.
pub(super) fn shop(error: CartError) -> Problem {
    match error {
        CartError::NoCart => Problem::not_found("There is no such cart."),
        CartError::NoProduct => Problem::not_found("There is no such product."),
        CartError::PreconditionFailed(current) => conditions::failed(current.as_ref()),
        CartError::Full => Problem::conflict("The cart holds as many products as a cart may: 100."),
        CartError::TooMuch => {
            Problem::invalid_field("quantity", "the price of so many pieces would exceed 9223372036854775807 cents")
        }
        CartError::Overloaded => Problem::overloaded(RETRY_AFTER, error.to_string()),
        CartError::ProductUnknown(_) | CartError::Unavailable(_) => Problem::unavailable(RETRY_AFTER, error),
        CartError::Database(cause) if cause.is_transient() => Problem::unavailable(RETRY_AFTER, cause),
        CartError::Database(cause) => Problem::internal(cause),
        CartError::Internal(cause) => Problem::internal(cause),
    }
}

/// Maps an error of a read through the cache to the problem that the client receives.
pub(super) fn fetch(error: GetError) -> Problem {
    shop(error.into())
}

/// Returns the effect of a write on the view, for `Cache-Status`.
pub(super) fn effect(invalidated: Invalidated) -> &'static str {
    match invalidated {
        Invalidated::Done { .. } => "invalidated",
        Invalidated::Deferred => "deferred",
    }
}
