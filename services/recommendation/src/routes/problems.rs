//! Errors as RFC 9457 problems.

use std::time::Duration;

use cache::GetError;
use runtime::problem::Problem;

use crate::error::RecommendationError;

/// When a client may try again after a 503.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Nothing can be recommended yet.
pub(super) fn not_yet(why: String) -> Problem {
    Problem::overloaded(RETRY_AFTER, why)
}

/// The problem that a client sees when a list could not be made.
pub(super) fn fetch(error: GetError) -> Problem {
    match error.loader_error::<RecommendationError>() {
        Some(cause) if !cause.is_transient() => Problem::internal(cause.clone()),
        None if matches!(error, GetError::Panicked) => Problem::internal(error),
        None if matches!(error, GetError::Overloaded) => Problem::overloaded(RETRY_AFTER, error.to_string()),
        _ => Problem::unavailable(RETRY_AFTER, error),
    }
}
