//! The events that the relay publishes, as they arrive on the channel: each with the time at which it was published.

use std::time::Duration;

use fred::interfaces::{ClientLike, EventInterface, PubsubInterface};
use redis_connect::{RedisAddress, RedisClients, reconnect_when_silent};
use tokio::time::sleep;
use tracing::debug;

use crate::board::Board;
use crate::hub::Hub;
use crate::record::{Record, now_ms};
use crate::stores::RedisAdmin;

/// The channel of product events.
const CHANNEL: &str = "product:updates";
/// The pause after a connection that failed.
const PAUSE: Duration = Duration::from_secs(1);

/// Forwards published events, as long as a page is open. Without access to Redis, there are none.
pub(crate) async fn follow_channel(hub: Hub, board: Board, redis: RedisAdmin) {
    let Some(address) = redis.address() else { return };
    hub.while_watched(|| follow_always(&hub, &board, address)).await;
}

async fn follow_always(hub: &Hub, board: &Board, address: &RedisAddress) {
    loop {
        if let Err(error) = follow(hub, board, address).await {
            debug!(error = format!("{error:#}"), "the channel of events cannot be followed");
        }
        sleep(PAUSE).await;
    }
}

async fn follow(hub: &Hub, board: &Board, address: &RedisAddress) -> anyhow::Result<()> {
    let client = address.client(Duration::from_secs(5));
    let mut messages = client.message_rx();
    let connection = client.connect();
    redis_connect::connected(&client).await?;
    client.subscribe(CHANNEL).await?;
    let watching = reconnect_when_silent(&client);
    let forwarding = async {
        while let Ok(message) = messages.recv().await {
            let text = message.value.into_string().unwrap_or_default();
            if let Ok(event) = serde_json::from_str(&text) {
                hub.emit(&Record::Published { at_ms: now_ms(), event });
                board.look();
            }
        }
    };
    let lost = client.on_error(async |(error, _)| {
        debug!(%error, "the connection to Redis is lost");
        Ok(())
    });
    tokio::select! {
        () = forwarding => {}
        () = watching => {}
        _ = connection => {}
    }
    lost.abort();
    Ok(())
}
