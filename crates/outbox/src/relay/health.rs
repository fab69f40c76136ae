//! The current failure of a relay: for its log messages, its backoff and the service's readiness.

use std::fmt::Display;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use super::stream::is_diverged;
use crate::consumer::HandlerError;
use crate::{Backoff, RecurringFailure};

/// The shortest and the longest pause between two attempts.
const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));

/// What fails. The messages are suitable for public responses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RelayFailure {
    /// Postgres does not respond, or refuses to number rows.
    #[error("the outbox cannot be read or written; committed changes wait in it")]
    Outbox,
    /// Redis does not respond, or refuses to append.
    #[error("events cannot be appended to the stream; they wait in the outbox")]
    Stream,
    /// The hook fails.
    #[error("an invalidation cannot be repeated; the event of its change waits in the outbox")]
    Invalidation,
}

/// The relay's health, which outlives connections.
pub(super) struct RelayHealth {
    outage: RecurringFailure,
    backoff: Mutex<Backoff>,
    status_sender: watch::Sender<Option<RelayFailure>>,
}

impl RelayHealth {
    pub(super) fn new(stream: &'static str, status_sender: watch::Sender<Option<RelayFailure>>) -> Self {
        let failing = "the relay cannot publish events; they wait in the outbox";
        let outage = RecurringFailure::new(stream, failing, "the relay publishes events again");
        Self { outage, backoff: Mutex::new(Backoff::between(PAUSES.0, PAUSES.1)), status_sender }
    }

    /// Records a failed attempt. Returns the pause before the next one.
    pub(super) fn failed(&self, what: RelayFailure, reason: impl Display) -> Duration {
        self.status_sender.send_if_modified(|told| told.replace(what) != Some(what));
        self.outage.failed(format_args!("{what}: {reason}"));
        self.backoff.lock().unwrap_or_else(PoisonError::into_inner).pause()
    }

    /// Records that some events were appended: a later failure is a new one.
    pub(super) fn advanced(&self) {
        self.backoff.lock().unwrap_or_else(PoisonError::into_inner).reset();
    }

    /// Records that a whole round has succeeded.
    pub(super) fn recovered(&self) {
        self.advanced();
        self.status_sender.send_if_modified(|told| told.take().is_some());
        self.outage.recovered();
    }
}

/// Why a round has failed.
pub(super) enum RelayError {
    /// The connection to Postgres failed; the relay reconnects.
    Postgres(String),
    /// Redis did not append, or the hook failed: the rows stay in the outbox, and the relay retries.
    StepFailed(RelayFailure, String),
    /// The stream has other events under the numbers of these rows.
    Diverged,
}

impl RelayError {
    /// Returns the error of a stream that is not as the relay expects it.
    pub(super) fn stream(why: String) -> Self {
        Self::StepFailed(RelayFailure::Stream, why)
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
        Self::StepFailed(RelayFailure::Invalidation, error.to_string())
    }
}
