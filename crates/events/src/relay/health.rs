//! What a relay cannot do just now: for its log, its pauses and the service's readiness.

use std::fmt::Display;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use crate::{Backoff, RecurringFailure};

/// The pauses between two attempts.
const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));

/// What fails. The texts are for everybody to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RelayFailure {
    /// Postgres does not answer, or refuses to number rows.
    #[error("the outbox cannot be read or written; committed changes wait in it")]
    Outbox,
    /// Redis does not answer, or refuses to append.
    #[error("events cannot be appended to the stream; they wait in the outbox")]
    Stream,
    /// The hook fails.
    #[error("an invalidation cannot be repeated; the event of its change waits in the outbox")]
    Invalidation,
}

/// The state that outlives connections.
pub(super) struct RelayHealth {
    outage: RecurringFailure,
    backoff: Mutex<Backoff>,
    status_sender: watch::Sender<Option<RelayFailure>>,
}

impl RelayHealth {
    pub(super) fn new(stream: &'static str, status_sender: watch::Sender<Option<RelayFailure>>) -> Self {
        let failing = "the relay cannot carry out events; they wait in the outbox";
        let outage = RecurringFailure::new(stream, failing, "the relay carries out events again");
        Self { outage, backoff: Mutex::new(Backoff::between(PAUSES.0, PAUSES.1)), status_sender }
    }

    /// An attempt has failed. Returns how long to wait before the next one.
    pub(super) fn failed(&self, what: RelayFailure, reason: impl Display) -> Duration {
        self.status_sender.send_if_modified(|told| told.replace(what) != Some(what));
        self.outage.failed(format_args!("{what}: {reason}"));
        self.backoff.lock().unwrap_or_else(PoisonError::into_inner).pause()
    }

    /// Some events were carried out: the next failure is another one.
    pub(super) fn advanced(&self) {
        self.backoff.lock().unwrap_or_else(PoisonError::into_inner).reset();
    }

    /// A whole round has succeeded.
    pub(super) fn recovered(&self) {
        self.advanced();
        self.status_sender.send_if_modified(|told| told.take().is_some());
        self.outage.recovered();
    }
}
