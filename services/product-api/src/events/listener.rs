//! Listens to `product:updates`, and removes what the announced change outdated.
//!
//! Pub/Sub forgets who was not there. Whatever may have cost a message (a lost connection, a receiver that lagged)
//! is therefore answered in the same way: drop the whole `events` lane, and go on. The task ends by its token only.

use std::time::Duration;

use cache::{Cache, CacheSettings, Health, Invalidated, Invalidation};
use chrono::Utc;
use fred::clients::SubscriberClient;
use fred::interfaces::{ClientLike, EventInterface, PubsubInterface};
use fred::types::config::Server;
use fred::types::{Message, Value};
use metrics::{counter, histogram};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::{CHANNEL, ProductEvent, outdated, publisher};
use crate::keys::{self, Lanes};

/// The pause between two attempts to subscribe.
const SUBSCRIBE_AGAIN: Duration = Duration::from_millis(200);

/// The listening task of one process.
#[derive(Debug)]
pub struct Listener {
    client: SubscriberClient,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Listener {
    /// Subscribes and starts to listen; where Redis is away, as soon as it is there.
    pub async fn start(settings: &CacheSettings, cache: Cache, lanes: Lanes) -> Result<Self, fred::error::Error> {
        let client = publisher::builder(settings)?.build_subscriber_client()?;
        let (listening, mut first) = watch::channel(false);
        let is_up = cache.health() == Health::Up;
        let stop = CancellationToken::new();
        let reaction = Reaction { cache, lanes, listening };
        // Before the connection is made, or its event could be missed.
        let (messages, connected) = (client.message_rx(), client.reconnect_rx());
        let task = tokio::spawn({
            let (client, stop) = (client.clone(), stop.clone());
            async move {
                tokio::select! {
                    () = listen(&client, messages, connected, &reaction) => {}
                    () = stop.cancelled() => {}
                }
            }
        });
        client.connect();
        // So that the first event after a start is heard; without Redis there is nothing to wait for.
        if is_up {
            let _ = timeout(publisher::FIRST_CONNECTION, first.wait_for(|listening| *listening)).await;
        }
        Ok(Self { client, stop, task })
    }

    /// Stops and waits until it has stopped.
    pub async fn stop(self) {
        self.stop.cancel();
        // It ends by the token; a panic in it has been reported by the runtime.
        let _ = self.task.await;
        let _ = self.client.quit().await;
    }
}

/// Never returns.
async fn listen(
    client: &SubscriberClient,
    mut messages: Receiver<Message>,
    mut connected: Receiver<Server>,
    reaction: &Reaction,
) {
    loop {
        tokio::select! {
            message = messages.recv() => match message {
                Ok(message) => reaction.hear(&message).await,
                Err(RecvError::Lagged(lost)) => reaction.lost(&format!("{lost} messages came too fast")).await,
                // The client is gone for good only when it is dropped, and this task holds it.
                Err(RecvError::Closed) => messages = client.message_rx(),
            },
            // Also the first connection. Subscribed first, then dropped: in the other order, an event between the two
            // would be neither heard nor made good.
            _ = connected.recv() => {
                while let Err(error) = client.subscribe(CHANNEL).await {
                    warn!(%error, "cannot subscribe to {CHANNEL}; trying again");
                    sleep(SUBSCRIBE_AGAIN).await;
                }
                reaction.lost("the connection is new").await;
            }
        }
    }
}

/// What an event does to this process' part of the cache.
struct Reaction {
    cache: Cache,
    lanes: Lanes,
    /// Turns true when the first subscription stands.
    listening: watch::Sender<bool>,
}

impl Reaction {
    async fn hear(&self, message: &Message) {
        let Some(event) = parse(&message.value) else {
            counter!("product_events_total", "result" => "malformed").increment(1);
            warn!("a message on {CHANNEL} is not an event; it is ignored");
            return;
        };
        if let Invalidated::Done { .. } = self.cache.invalidate(outdated(&self.lanes, &event)).await {
            // Announced and heard in one process here, so both times are of one clock.
            let took = (Utc::now() - event.occurred_at).to_std().unwrap_or_default();
            histogram!("product_event_applied_seconds").record(took);
            counter!("product_events_total", "result" => "applied").increment(1);
        }
    }

    async fn lost(&self, why: &str) {
        counter!("product_events_total", "result" => "resync").increment(1);
        info!(why, "events may have been lost; the entries of the events lane are dropped");
        // Deferred means that it is repeated: nothing more to do here.
        let _ = self.cache.invalidate(Invalidation::hard().tag(keys::events_lane())).await;
        self.listening.send_replace(true);
    }
}

fn parse(value: &Value) -> Option<ProductEvent> {
    serde_json::from_slice(value.as_bytes()?).ok()
}
