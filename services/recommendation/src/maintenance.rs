//! Asks again and again how far the product API's log is, to know how current the copy of the catalogue is.

use std::time::{Duration, Instant};

use events::PRODUCT_EVENTS;
use events::log::{EventLog, LogError, LogPosition};
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::positions::Positions;
use crate::state::CatalogueStatus;

const EVERY: Duration = Duration::from_secs(1);

/// A log that takes longer to say how far it is counts as away.
const LOG_TIMEOUT: Duration = Duration::from_secs(1);

/// The newest event of a log. With `mark`, also whether that is part of the log's history.
///
/// # Errors
/// [`LogError::Diverged`] when it is not; when Redis does not answer in time.
pub async fn head(log: &EventLog, mark: Option<LogPosition>) -> Result<LogPosition, LogError> {
    let asked = timeout(LOG_TIMEOUT, log.head(mark)).await;
    asked.unwrap_or_else(|_| Err(LogError::Unavailable("no answer in time".to_owned())))
}

/// Never returns.
pub async fn run(log: EventLog, positions: Positions, state: CatalogueStatus) {
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        // Who does not answer is not current: nothing is said, and that shows.
        let Ok(before) = positions.of(PRODUCT_EVENTS.stream).await else { continue };
        match (head(&log, before.map(|before| before.newest)).await, positions.of(PRODUCT_EVENTS.stream).await) {
            (Ok(head), Ok(position)) => {
                state.observe_head(head.seq, position.map_or(0, |position| position.seq), Instant::now());
            }
            // The copy is of another history, whatever its position.
            (Err(LogError::Diverged(_)), _) => state.mark_not_current(),
            _ => {}
        }
    }
}
