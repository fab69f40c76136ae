//! Asks again and again how far the product API's log is, to know how current the copy of the catalogue is.

use std::time::{Duration, Instant};

use events::PRODUCT_EVENTS;
use events::log::{EventLog, LogError};
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::positions::Positions;
use crate::state::State;

const EVERY: Duration = Duration::from_secs(1);

/// A log that takes longer to say how far it is counts as away.
const PATIENCE: Duration = Duration::from_secs(1);

/// A number that no event has: nothing comes after it, so the answer is short, whatever has been pruned.
const BEYOND: u64 = 1 << 62;

/// The number of the newest event of a log.
///
/// # Errors
/// When nobody answers in time.
pub async fn head(log: &EventLog) -> Result<u64, LogError> {
    let asked = timeout(PATIENCE, log.after(BEYOND)).await;
    asked.unwrap_or_else(|_| Err(LogError::Unavailable("no answer in time".to_owned()))).map(|page| page.head)
}

/// Never returns.
pub async fn keep(log: EventLog, positions: Positions, state: State) {
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        // Who does not answer is not current: nothing is said, and that shows.
        let (Ok(head), Ok(position)) = (head(&log).await, positions.of(PRODUCT_EVENTS.stream).await) else { continue };
        state.heard_of(head, position.unwrap_or(0), Instant::now());
    }
}
