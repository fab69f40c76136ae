//! What has to be seen to again and again: how current the index is, what Redis is owed, and the horizon.

use std::sync::Arc;
use std::time::{Duration, Instant};

use cache::Cache;
use events::log::LogError;
use events::product_api::ProductApi;
use metrics::gauge;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tracing::{debug, info};

use crate::announce::Announcer;
use crate::head;
use crate::horizon::Horizon;
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
    pub cache: Cache,
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
            if let Ok(Ok(head)) = timeout(PATIENCE, head::ask(&self.api)).await {
                self.state.heard_of(head, Instant::now());
            }
            if self.cache.health().is_in_use() {
                self.announcer.pay().await;
                if let Err(error) = self.see_to_the_horizon().await {
                    debug!(%error, "the horizon has to wait");
                }
            }
        }
    }

    async fn see_to_the_horizon(&self) -> Result<(), crate::horizon::HorizonError> {
        if self.horizon.of(&[]).await?.is_none() {
            let head = async {
                let late = |_| LogError::Unavailable("no answer in time".to_owned());
                timeout(PATIENCE, head::ask(&self.api)).await.unwrap_or_else(|error| Err(late(error)))
            };
            if self.horizon.establish(head).await? {
                info!("the horizon begins anew; pages are stored again");
            }
        }
        let tags = self.horizon.size().await?;
        gauge!("search_horizon_tags").set(tags as f64);
        if tags > MOST_TAGS
            && let Some(snapshot) = self.state.snapshot()
        {
            self.horizon.raise_floor(snapshot.position).await?;
        }
        Ok(())
    }
}
