//! Errors of the shop and the cache as RFC 9457 problems.

use std::time::Duration;

use cache::{GetError, Invalidated};
use runtime::conditions;
use runtime::problem::Problem;

use crate::error::CartError;

/// When a client may try again after a 503.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// The problem that a client sees for `error`.
pub(super) fn shop(error: CartError) -> Problem {
    match error {
        CartError::NoCart => Problem::not_found("There is no such cart."),
        CartError::NoProduct => Problem::not_found("There is no such product."),
        CartError::PreconditionFailed(current) => conditions::failed(current.as_ref()),
        CartError::Full => Problem::conflict("The cart holds as many products as a cart may: 100."),
        CartError::TooMuch => Problem::invalid_field("quantity", "so many cost more than can be reckoned with"),
        CartError::Overloaded => Problem::overloaded(RETRY_AFTER, error.to_string()),
        CartError::ProductUnknown(_) | CartError::Unavailable(_) => Problem::unavailable(RETRY_AFTER, error),
        CartError::Database(cause) if cause.is_transient() => Problem::unavailable(RETRY_AFTER, cause),
        CartError::Database(cause) => Problem::internal(cause),
        CartError::Internal(cause) => Problem::internal(cause),
    }
}

/// The problem that a client sees when a read failed.
pub(super) fn fetch(error: GetError) -> Problem {
    shop(error.into())
}

/// What became of the view, for `Cache-Status`.
pub(super) fn effect(invalidated: Invalidated) -> &'static str {
    match invalidated {
        Invalidated::Done { .. } => "invalidated",
        Invalidated::Deferred => "deferred",
    }
}
