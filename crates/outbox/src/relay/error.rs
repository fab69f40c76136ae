//! Why a round of the relay has failed.

use super::health::RelayFailure;
use super::stream::is_diverged;
use crate::consumer::HandlerError;

/// Why a round has failed.
pub(super) enum RelayError {
    /// The connection to Postgres failed; the relay reconnects.
    Postgres(String),
    /// Redis did not append, or the hook failed: the rows stay in the outbox, and the relay retries.
    Elsewhere(RelayFailure, String),
    /// The stream has other events under the numbers of these rows.
    Diverged,
}

impl RelayError {
    /// Returns the error of a stream that is not as the relay expects it.
    pub(super) fn stream(why: String) -> Self {
        Self::Elsewhere(RelayFailure::Stream, why)
    }
}

impl From<diesel::result::Error> for RelayError {
    fn from(error: diesel::result::Error) -> Self {
        Self::Postgres(error.to_string())
    }
}

impl From<fred::error::Error> for RelayError {
    fn from(error: fred::error::Error) -> Self {
        if is_diverged(&error) { Self::Diverged } else { Self::stream(error.details().to_owned()) }
    }
}

impl From<HandlerError> for RelayError {
    fn from(error: HandlerError) -> Self {
        Self::Elsewhere(RelayFailure::Invalidation, error.to_string())
    }
}
