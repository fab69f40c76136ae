//! Events about carts are lost: all baskets are read from the cart, beside the events that still come.
//!
//! The number of the newest event is asked for *before* the first page, so whatever a lost event told is in the pages. An
//! event that comes meanwhile is later than that number, or has been carried out before: in either case its line is told by
//! the greater version. It does not matter how many replicas do this at once, or how far an attempt has come that fails.

use std::time::{Duration, Instant};

use cache::CacheClient;
use events::carts::CartSnapshot;
use events::log::EventLog;
use events::{Backoff, CART_EVENTS, RecurringFailure};
use tokio::time::sleep;
use tracing::info;
use uuid::Uuid;

use super::require_done;
use crate::baskets::BasketItems;
use crate::error::RecommendationError;
use crate::positions::Positions;
use crate::state::CatalogueStatus;
use crate::{learning, maintenance};

/// How often it is looked whether events are lost.
const EVERY: Duration = Duration::from_secs(1);

/// Between two attempts: from here …
const FIRST_PAUSE: Duration = Duration::from_millis(200);
/// … up to here.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Reads the baskets where they are incomplete.
#[derive(Debug)]
pub struct BasketRebuild {
    /// Where they are read from.
    pub snapshot: CartSnapshot,
    /// The cart's log of events.
    pub log: EventLog,
    /// Where they are written.
    pub baskets: BasketItems,
    /// Says whether events are lost.
    pub positions: Positions,
    /// Where lists for carts are removed.
    pub cache: CacheClient,
    /// Told whether the baskets are incomplete.
    pub state: CatalogueStatus,
}

impl BasketRebuild {
    /// Never returns.
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
        // A database that does not answer says nothing about the baskets; readiness tells of it.
        let Ok(losses) = self.positions.losses(CART_EVENTS.stream).await else { return Ok(()) };
        self.state.baskets_incomplete(losses.is_some());
        match losses {
            Some(losses) => self.read(losses).await,
            None => Ok(()),
        }
    }

    async fn read(&self, losses: i64) -> Result<(), RecommendationError> {
        let began = Instant::now();
        let head = maintenance::head(&self.log, None).await?.seq;
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
        // Also where nothing has changed: an earlier attempt may have changed it, and died before it came to this.
        require_done(self.cache.purge().await).map_err(|error| RecommendationError::Unavailable(error.to_string()))?;
        if self.positions.set_complete(CART_EVENTS.stream, losses).await? {
            self.state.baskets_incomplete(false);
            info!(changed, head, took = ?began.elapsed(), "all baskets were read from the cart service");
        }
        Ok(())
    }
}
