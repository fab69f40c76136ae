//! Periodic maintenance: checks how current the index is, retries pending invalidations, and maintains the watermarks.

use std::sync::Arc;
use std::time::{Duration, Instant};

use cache::CacheClient;
use metrics::gauge;
use outbox::log::{EventLog, LogError, LogPosition};
use tokio::time::{MissedTickBehavior, interval};
use tracing::{debug, info, warn};

use crate::invalidator::Invalidator;
use crate::state::IndexStatus;
use crate::watermarks::{TagWatermarks, WatermarkError};

const EVERY: Duration = Duration::from_secs(1);

/// The product API counts as unavailable when it takes longer than this to return the head of its log.
const LOG_TIMEOUT: Duration = Duration::from_secs(1);

/// The maximum number of tags with watermarks of their own. Above it, the floor is raised.
const MOST_TAGS: u64 = 50_000;

/// Periodic maintenance of the index status, pending invalidations and watermarks.
pub struct Maintenance {
    /// The event log of the catalogue.
    pub log: EventLog,
    /// Knows whether Redis is in use.
    pub cache: CacheClient,
    /// Retries the pending invalidation.
    pub invalidator: Invalidator,
    /// The watermarks. Maintenance initializes them when they are unknown, and keeps the set small.
    pub watermarks: TagWatermarks,
    /// Records how current the index is.
    pub state: Arc<IndexStatus>,
}

impl Maintenance {
    /// Runs the maintenance once per second, forever.
    pub async fn run(&self) {
        let mut ticks = interval(EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            match self.head(self.state.snapshot().map(|snapshot| snapshot.log_position())).await {
                Ok(head) => self.state.observe_head(head.seq, Instant::now()),
                Err(LogError::Diverged(_)) => self.state.mark_not_current(),
                Err(_) => {}
            }
            if self.cache.health().is_in_use() {
                self.invalidator.retry_pending().await;
                if let Err(error) = self.maintain_watermarks().await {
                    debug!(%error, "the watermarks cannot be initialized now");
                }
            }
        }
    }

    /// Returns the position of the newest event within [`LOG_TIMEOUT`]. With `position`, the log also checks that `position`
    /// belongs to its history.
    async fn head(&self, position: Option<LogPosition>) -> Result<LogPosition, LogError> {
        self.log.head(position, LOG_TIMEOUT).await
    }

    async fn maintain_watermarks(&self) -> Result<(), WatermarkError> {
        // The highest watermark is read before the head: its event was numbered before it was read, so within one
        // history it cannot exceed the head.
        let highest = self.watermarks.highest().await?;
        if let Ok(head) = self.head(None).await
            && highest > head.seq
            && self.invalidator.reset_history().await
        {
            warn!(
                highest,
                head = head.seq,
                "the watermarks had a different history than the catalogue; they start again"
            );
        }
        if self.watermarks.required_position(&[]).await?.is_none()
            && self.watermarks.initialize(async { self.head(None).await.map(|head| head.seq) }).await?
        {
            info!("the watermarks start again; pages are cached again");
        }
        self.compare().await?;
        let tags = self.watermarks.size().await?;
        gauge!("search_horizon_tags").set(tags as f64);
        if tags > MOST_TAGS
            && let Some(snapshot) = self.state.snapshot()
        {
            self.watermarks.raise_floor(snapshot.position).await?;
        }
        Ok(())
    }

    /// Checks, once for each set of watermarks and each reindex, whether the index belongs to the current history of
    /// the log.
    async fn compare(&self) -> Result<(), WatermarkError> {
        let (Some(watermark), Some(snapshot)) = (self.watermarks.required_position(&[]).await?, self.state.snapshot())
        else {
            return Ok(());
        };
        if !self.state.is_lineage_checked(watermark.id, snapshot.lineage)
            && self.head(Some(snapshot.log_position())).await.is_ok()
        {
            self.state.set_lineage_checked(watermark.id, snapshot.lineage);
        }
        Ok(())
    }
}
