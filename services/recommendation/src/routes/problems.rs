//! Errors as RFC 9457 problems.

use cache::error::LoadError;
use service::problem::{Problem, RETRY_AFTER};

use crate::error::RecommendationError;

/// Returns the problem for a request before the catalogue has been copied.
pub(super) fn not_yet(why: String) -> Problem {
    Problem::overloaded(RETRY_AFTER, why)
}

/// Returns the problem for a list that could not be built.
pub(super) fn fetch(error: LoadError) -> Problem {
    Problem::of_read(error, |cause: &RecommendationError| match cause.is_transient() {
        true => Problem::unavailable(RETRY_AFTER, cause),
        false => Problem::internal(cause),
    })
}
