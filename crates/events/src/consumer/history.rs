//! Whether the log still has the history that the events are of which were carried out.
//!
//! A log whose database was restored numbers other events with numbers that it has given before, in another epoch. So a
//! consumer that meets an epoch which it does not know asks the log whether the last event that it knows is part of it.
//! A relay that was merely started anew has begun an epoch as well: then the answer is yes.

use std::time::Duration;

use tokio::time::timeout;
use uuid::Uuid;

use super::EventHandler;
use super::reactor::Reactor;
use crate::log::{LogError, LogPosition};

/// How long the log may take to answer.
const TIMEOUT: Duration = Duration::from_secs(1);

/// What the log says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HistoryCheck {
    /// The event is part of it, or nothing speaks against it.
    Same,
    /// It is not.
    Other,
    /// The log does not answer.
    Unknown,
}

impl<R: EventHandler> Reactor<R> {
    /// Compares the last known event with what comes next, which is of `epoch`.
    pub(super) async fn compare(&self, known: LogPosition, epoch: Option<Uuid>) -> HistoryCheck {
        if known.epoch.is_none() || known.epoch == epoch {
            return HistoryCheck::Same;
        }
        match timeout(TIMEOUT, self.log.head(Some(known))).await {
            Ok(Ok(_) | Err(LogError::Pruned(_))) => HistoryCheck::Same,
            Ok(Err(LogError::Diverged(_))) => HistoryCheck::Other,
            Ok(Err(LogError::Unavailable(_))) | Err(_) => HistoryCheck::Unknown,
        }
    }
}
