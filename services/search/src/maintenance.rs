//! What has to be seen to again and again: how current the index is, what Redis is owed, and the horizon.

use std::sync::Arc;
use std::time::{Duration, Instant};

use cache::CacheClient;
use events::log::{LogError, LogPosition};
use events::product_api::ProductApi;
use metrics::gauge;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tracing::{debug, info, warn};

use crate::invalidator::Invalidator;
use crate::state::IndexStatus;
use crate::watermarks::{TagWatermarks, WatermarkError};

const EVERY: Duration = Duration::from_secs(1);

/// A product API that takes longer to say how far its log is counts as away.
const LOG_TIMEOUT: Duration = Duration::from_secs(1);

/// More tags than this are not remembered one by one.
const MOST_TAGS: u64 = 50_000;

/// Sees to it.
pub struct Maintenance {
    /// Asked how far its log is.
    pub api: ProductApi,
    /// Asked whether Redis is in use.
    pub cache: CacheClient,
    /// Pays what is owed.
    pub announcer: Invalidator,
    /// Established when it is unknown, and kept small.
    pub horizon: TagWatermarks,
    /// Told how current the index is.
    pub state: Arc<IndexStatus>,
}

impl Maintenance {
    /// Never returns.
    pub async fn run(&self) {
        let mut ticks = interval(EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            match self.head(self.state.snapshot().map(|snapshot| snapshot.mark())).await {
                Ok(head) => self.state.observe_head(head.seq, Instant::now()),
                Err(LogError::Diverged(_)) => self.state.mark_not_current(),
                Err(_) => {}
            }
            if self.cache.health().is_in_use() {
                self.announcer.retry_pending().await;
                if let Err(error) = self.maintain_watermarks().await {
                    debug!(%error, "the watermarks cannot be initialized now");
                }
            }
        }
    }

    /// The newest event of all, in time; with `mark`, also whether that is of the log's history.
    async fn head(&self, mark: Option<LogPosition>) -> Result<LogPosition, LogError> {
        let late = |_| Err(LogError::Unavailable("no answer in time".to_owned()));
        timeout(LOG_TIMEOUT, self.api.events().head(mark)).await.unwrap_or_else(late)
    }

    async fn maintain_watermarks(&self) -> Result<(), WatermarkError> {
        // Before the head: whatever it has been raised to by then was numbered before.
        let highest = self.horizon.highest().await?;
        if let Ok(head) = self.head(None).await
            && highest > head.seq
        {
            warn!(
                highest,
                head = head.seq,
                "the watermarks have a different history than the catalogue; they start again"
            );
            self.announcer.reset_history().await;
        }
        if self.horizon.required_position(&[]).await?.is_none()
            && self.horizon.initialize(async { self.head(None).await.map(|head| head.seq) }).await?
        {
            info!("the watermarks start again; pages are cached again");
        }
        self.compare().await?;
        let tags = self.horizon.size().await?;
        gauge!("search_horizon_tags").set(tags as f64);
        if tags > MOST_TAGS
            && let Some(snapshot) = self.state.snapshot()
        {
            self.horizon.raise_floor(snapshot.position).await?;
        }
        Ok(())
    }

    /// Asks, once for each horizon and each walk, whether the index is of the history that the log has now.
    async fn compare(&self) -> Result<(), WatermarkError> {
        let (Some(horizon), Some(snapshot)) = (self.horizon.required_position(&[]).await?, self.state.snapshot())
        else {
            return Ok(());
        };
        if !self.state.is_compared(horizon.id, snapshot.lineage) && self.head(Some(snapshot.mark())).await.is_ok() {
            self.state.set_lineage_checked(horizon.id, snapshot.lineage);
        }
        Ok(())
    }
}
