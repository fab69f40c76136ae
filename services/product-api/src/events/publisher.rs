//! Announces committed changes.

use std::time::Duration;

use cache::{Cache, CacheSettings, Health};
use fred::clients::Client;
use fred::interfaces::{ClientLike, PubsubInterface};
use fred::types::Builder;
use fred::types::config::{Config, ConnectionConfig, PerformanceConfig, ReconnectPolicy};
use metrics::counter;
use tokio::time::timeout;
use tracing::debug;

use super::{CHANNEL, ProductEvent};

/// The sending end of `product:updates`. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Publisher {
    client: Client,
    cache: Cache,
}

/// How long a start waits for the connection where Redis is there.
pub(super) const FIRST_CONNECTION: Duration = Duration::from_secs(1);

/// An event that nobody will hear of.
#[derive(Debug, thiserror::Error)]
#[error("the event was not published: {0}")]
pub struct PublishError(String);

impl Publisher {
    /// Starts to connect, and goes on without Redis where there is none.
    ///
    /// It shares the cache's view of Redis' health, so that it does not wait for one that is known to be away.
    pub async fn connect(settings: &CacheSettings, cache: Cache) -> Result<Self, fred::error::Error> {
        let client = builder(settings)?.build()?;
        client.connect();
        // So that the first write after a start is announced; without Redis there is nothing to wait for.
        if cache.health() == Health::Up {
            let _ = timeout(FIRST_CONNECTION, client.wait_for_connect()).await;
        }
        Ok(Self { client, cache })
    }

    /// Announces a change that has been committed.
    pub async fn publish(&self, event: &ProductEvent) -> Result<(), PublishError> {
        let published = self.send(event).await;
        let result = if published.is_ok() { "published" } else { "lost" };
        counter!("product_events_total", "result" => result).increment(1);
        if let Err(error) = &published {
            debug!(%error, event.id = %event.event_id, "an event reached nobody");
        }
        published
    }

    async fn send(&self, event: &ProductEvent) -> Result<(), PublishError> {
        if self.cache.health() != Health::Up || !self.client.is_connected() {
            return Err(PublishError("Redis is not in use".to_owned()));
        }
        let json = serde_json::to_string(event).map_err(|error| PublishError(error.to_string()))?;
        let published: Result<i64, _> = self.client.publish(CHANNEL, json).await;
        published.map(drop).map_err(|error| PublishError(error.details().to_owned()))
    }

    /// Closes the connection.
    pub async fn close(&self) {
        // The server notices a dropped connection as well.
        let _ = self.client.quit().await;
    }
}

/// A connection that fails a command in time, and reconnects for ever.
pub(super) fn builder(settings: &CacheSettings) -> Result<Builder, fred::error::Error> {
    let timeout = settings.command_timeout;
    let mut config = Config::from_url(&settings.url)?;
    // A Redis that is away at the start is waited for, not given up.
    config.fail_fast = false;
    let mut builder = Builder::from_config(config);
    builder
        .with_performance_config(|performance: &mut PerformanceConfig| {
            performance.default_command_timeout = timeout;
            performance.broadcast_channel_capacity = 8_192;
        })
        .with_connection_config(|connection: &mut ConnectionConfig| {
            connection.connection_timeout = Duration::from_millis(500);
            connection.internal_command_timeout = Duration::from_millis(500);
            connection.max_command_attempts = 1;
        })
        .set_policy(ReconnectPolicy::new_constant(0, 100));
    Ok(builder)
}
