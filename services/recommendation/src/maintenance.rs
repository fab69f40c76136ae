//! Periodic check of the product API's log, to know how current the copy of the catalogue is.

use std::time::{Duration, Instant};

use outbox::log::{EventLog, LogError};
use service::events::PRODUCT_EVENTS;
use tokio::time::{MissedTickBehavior, interval};

use crate::positions::Positions;
use crate::state::CatalogueStatus;

const EVERY: Duration = Duration::from_secs(1);

/// A log counts as unavailable when it takes longer than this to return its head.
pub const LOG_TIMEOUT: Duration = Duration::from_secs(1);

/// Runs the check forever.
pub async fn run(log: EventLog, positions: Positions, state: CatalogueStatus) {
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        // If the database or the log does not respond, nothing is recorded, and the copy becomes stale.
        let Ok(before) = positions.of(PRODUCT_EVENTS.stream).await else { continue };
        match (
            log.head(before.map(|before| before.newest), LOG_TIMEOUT).await,
            positions.of(PRODUCT_EVENTS.stream).await,
        ) {
            (Ok(head), Ok(position)) => {
                state.observe_head(head.seq, position.map_or(0, |position| position.seq), Instant::now());
            }
            // The copy belongs to another history, with any position.
            (Err(LogError::Diverged(_)), _) => state.mark_not_current(),
            _ => {}
        }
    }
}
