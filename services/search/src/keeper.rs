//! What has to be seen to again and again: how current the index is, what Redis is owed, and the horizon.

use std::sync::Arc;
use std::time::{Duration, Instant};

use cache::CacheClient;
use events::log::{LogError, LogPosition};
use events::product_api::ProductApi;
use metrics::gauge;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tracing::{debug, info, warn};

use crate::announce::Announcer;
use crate::horizon::{Horizon, HorizonError};
use crate::state::State;

const EVERY: Duration = Duration::from_secs(1);

/// A product API that takes longer to say how far its log is counts as away.
const PATIENCE: Duration = Duration::from_secs(1);

/// More tags than this are not remembered one by one.
const MOST_TAGS: u64 = 50_000;

/// Sees to it.
pub struct Keeper {
    /// Asked how far its log is.
    pub api: ProductApi,
    /// Asked whether Redis is in use.
    pub cache: CacheClient,
    /// Pays what is owed.
    pub announcer: Announcer,
    /// Established when it is unknown, and kept small.
    pub horizon: Horizon,
    /// Told how current the index is.
    pub state: Arc<State>,
}

impl Keeper {
    /// Never returns.
    pub async fn keep(&self) {
        let mut ticks = interval(EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            match self.head(self.state.snapshot().map(|snapshot| snapshot.mark())).await {
                Ok(head) => self.state.heard_of(head.seq, Instant::now()),
                Err(LogError::Diverged(_)) => self.state.doubt(),
                Err(_) => {}
            }
            if self.cache.health().is_in_use() {
                self.announcer.pay().await;
                if let Err(error) = self.see_to_the_horizon().await {
                    debug!(%error, "the horizon has to wait");
                }
            }
        }
    }

    /// The newest event of all, in time; with `mark`, also whether that is of the log's history.
    async fn head(&self, mark: Option<LogPosition>) -> Result<LogPosition, LogError> {
        let late = |_| Err(LogError::Unavailable("no answer in time".to_owned()));
        timeout(PATIENCE, self.api.events().head(mark)).await.unwrap_or_else(late)
    }

    async fn see_to_the_horizon(&self) -> Result<(), HorizonError> {
        // Before the head: whatever it has been raised to by then was numbered before.
        let highest = self.horizon.highest().await?;
        if let Ok(head) = self.head(None).await
            && highest > head.seq
        {
            warn!(highest, head = head.seq, "the horizon is of another history of the catalogue; it begins anew");
            self.announcer.begin_anew().await;
        }
        if self.horizon.of(&[]).await?.is_none()
            && self.horizon.establish(async { self.head(None).await.map(|head| head.seq) }).await?
        {
            info!("the horizon begins anew; pages are stored again");
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
    async fn compare(&self) -> Result<(), HorizonError> {
        let (Some(horizon), Some(snapshot)) = (self.horizon.of(&[]).await?, self.state.snapshot()) else {
            return Ok(());
        };
        if !self.state.is_compared(horizon.id, snapshot.lineage) && self.head(Some(snapshot.mark())).await.is_ok() {
            self.state.compared(horizon.id, snapshot.lineage);
        }
        Ok(())
    }
}
