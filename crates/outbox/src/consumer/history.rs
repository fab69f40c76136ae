//! Checks whether the log still has the history that the applied events belong to.
//!
//! A log whose database was restored assigns numbers again that it had assigned before, to other events, in another
//! epoch. So a consumer that receives an unknown epoch asks the log whether the last known event is part of it. A relay
//! that was merely restarted has also begun an epoch: then the log says that it is.

use std::time::Duration;

use uuid::Uuid;

use crate::log::{EventLog, LogError, LogPosition};

/// How long the log may take to respond.
const TIMEOUT: Duration = Duration::from_secs(1);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HistoryCheck {
    /// The event is part of the log's history, or there is no evidence against it.
    Same,
    /// The event is not part of the log's history.
    Other,
    /// The log does not respond.
    Unknown,
}

/// Compares the last known event with the next event, which has the epoch `epoch`.
pub(super) async fn compare(log: &EventLog, known: LogPosition, epoch: Option<Uuid>) -> HistoryCheck {
    if known.epoch.is_none() || known.epoch == epoch {
        return HistoryCheck::Same;
    }
    match log.head(Some(known), TIMEOUT).await {
        Ok(_) | Err(LogError::Pruned(_)) => HistoryCheck::Same,
        Err(LogError::Diverged(_)) => HistoryCheck::Other,
        Err(LogError::Unavailable(_)) => HistoryCheck::Unknown,
    }
}
