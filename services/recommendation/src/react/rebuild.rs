//! Reads all baskets from the cart service after events about carts were lost, while further events are applied.
//!
//! The rebuild reads the number of the newest event *before* the first page, so the pages include the effect of every
//! lost event. An event that arrives meanwhile either has a higher number, or was applied before; in both cases the
//! higher version of its line wins. Several replicas may rebuild at once, and an attempt may fail at any point.

use std::time::{Duration, Instant};

use cache::CacheClient;
use contract::cart_snapshot::CartSnapshot;
use outbox::log::EventLog;
use outbox::{Backoff, RecurringFailure};
use service::events::{CART_EVENTS, require_purged};
use tokio::time::sleep;
use tracing::info;
use uuid::Uuid;

use crate::baskets::BasketItems;
use crate::error::RecommendationError;
use crate::learning;
use crate::maintenance::LOG_TIMEOUT;
use crate::positions::Positions;
use crate::state::CatalogueStatus;

/// The interval of the check for lost events.
const EVERY: Duration = Duration::from_secs(1);

/// The pause after the first failed attempt.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
/// The maximum pause between two attempts.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Reads the baskets from the cart service when they are incomplete.
#[derive(Debug)]
pub struct BasketRebuild {
    /// The source of the baskets.
    pub snapshot: CartSnapshot,
    /// The event log of the cart service.
    pub log: EventLog,
    /// The table of baskets.
    pub baskets: BasketItems,
    /// Records whether events were lost.
    pub positions: Positions,
    /// The cache whose lists are invalidated.
    pub cache: CacheClient,
    /// Shows whether the baskets are incomplete.
    pub state: CatalogueStatus,
}

impl BasketRebuild {
    /// Checks for lost events forever, and rebuilds the baskets when there are some.
    pub async fn keep(&self) {
        let outage = RecurringFailure::new(
            CART_EVENTS.stream,
            "events about carts are lost, and the baskets cannot be read from the cart yet",
            "the baskets can be read from the cart again",
        );
        let mut backoff = Backoff::between(FIRST_PAUSE, LONGEST_PAUSE);
        loop {
            match self.look().await {
                Ok(()) => {
                    outage.recovered();
                    backoff.reset();
                    sleep(EVERY).await;
                }
                Err(failure) => {
                    outage.failed(failure);
                    sleep(backoff.pause()).await;
                }
            }
        }
    }

    async fn look(&self) -> Result<(), RecommendationError> {
        // When the database is unavailable, the state of the baskets is unknown. The readiness check reports the
        // database.
        let Ok(losses) = self.positions.losses(CART_EVENTS.stream).await else { return Ok(()) };
        self.state.baskets_incomplete(losses.is_some());
        match losses {
            Some(losses) => self.read(losses).await,
            None => Ok(()),
        }
    }

    async fn read(&self, losses: i64) -> Result<(), RecommendationError> {
        let began = Instant::now();
        let head = self.log.head(None, LOG_TIMEOUT).await?.seq;
        let (mut changed, mut after) = (0, None);
        loop {
            let page = self.snapshot.page(after).await?;
            let range = (after.unwrap_or(Uuid::nil()), page.next_cursor.unwrap_or(Uuid::max()));
            changed += self.baskets.replace(range, &page.lines, head).await?;
            after = page.next_cursor;
            if after.is_none() {
                break;
            }
        }
        if changed > 0 {
            learning::pending(true);
        }
        // Also purges when no line has changed: an earlier attempt may have changed lines, and failed before its purge.
        require_purged(&self.cache).await.map_err(|error| RecommendationError::Unavailable(error.to_string()))?;
        if self.positions.set_complete(CART_EVENTS.stream, losses).await? {
            self.state.baskets_incomplete(false);
            info!(changed, head, took = ?began.elapsed(), "all baskets were read from the cart service");
        }
        Ok(())
    }
}
