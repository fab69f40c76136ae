//! Errors as RFC 9457 problems.

use std::time::Duration;

use cache::GetError;
use runtime::problem::Problem;

use crate::error::RecommendationError;

/// The `Retry-After` of a 503.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Returns the problem for a request before the catalogue has been copied.
pub(super) fn not_yet(why: String) -> Problem {
    Problem::overloaded(RETRY_AFTER, why)
}

/// Returns the problem for a list that could not be built.
pub(super) fn fetch(error: GetError) -> Problem {
    match error.loader_error::<RecommendationError>() {
        Some(cause) if !cause.is_transient() => Problem::internal(cause.clone()),
        None if matches!(error, GetError::Panicked) => Problem::internal(error),
        None if matches!(error, GetError::Overloaded) => Problem::overloaded(RETRY_AFTER, error.to_string()),
        _ => Problem::unavailable(RETRY_AFTER, error),
    }
}
