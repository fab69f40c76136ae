//! Strategy 4: listens to `product:updates`, and removes the outdated entries from the `events` cache.
//!
//! Pub/Sub does not deliver a message to a subscriber that is disconnected. After anything that may have lost a message
//! (a lost connection, a receiver that lagged), the listener invalidates the whole `events` cache and continues. Only
//! its cancellation token ends the task.

use std::time::Duration;

use cache::{CacheClient, CacheSettings, Invalidated, Invalidation};
use chrono::Utc;
use contract::ProductChange;
use fred::clients::SubscriberClient;
use fred::error::{Error, ErrorKind};
use fred::interfaces::{ClientInterface, ClientLike, EventInterface, PubsubInterface};
use fred::types::config::{Config, ConnectionConfig, PerformanceConfig, ReconnectPolicy, Server};
use fred::types::{Builder, Message, RespVersion, Value};
use metrics::{counter, histogram};
use outbox::redis::reconnect_when_silent;
use outbox::{Backoff, RecurringFailure};
use service::events::{PRODUCT_EVENTS, ProductEvent};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::keys::{self, Caches};

/// The Pub/Sub channel on which the relay publishes what it appends to the stream.
const CHANNEL: &str = "product:updates";

/// The longest time that a start waits for the connection if Redis is available.
const FIRST_CONNECTION: Duration = Duration::from_secs(1);

/// The shortest and the longest pause between two attempts to subscribe.
const SUBSCRIBE_AGAIN: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));

/// The listener task of one process.
#[derive(Debug)]
pub struct Listener {
    client: SubscriberClient,
    stop: CancellationToken,
    task: JoinHandle<()>,
    listening: watch::Receiver<bool>,
}

impl Listener {
    /// Subscribes and starts to listen. If Redis is unavailable, the listener subscribes as soon as Redis is available.
    pub async fn start(settings: &CacheSettings, cache: CacheClient, caches: Caches) -> Result<Self, Error> {
        let client = builder(settings)?.build_subscriber_client()?;
        let (listening, mut first) = watch::channel(false);
        let is_up = cache.health().is_in_use();
        let stop = CancellationToken::new();
        let reaction = Reaction { cache, caches, listening };
        // Before the connection is made, because its `reconnect` event could otherwise be missed.
        let (messages, connected) = (client.message_rx(), client.reconnect_rx());
        let task = tokio::spawn({
            let (client, stop) = (client.clone(), stop.clone());
            async move {
                tokio::select! {
                    () = listen(&client, messages, connected, &reaction) => {}
                    () = reconnect_when_silent(&client) => {}
                    () = stop.cancelled() => {}
                }
            }
        });
        client.connect();
        // Waits for the subscription, so that the listener receives the first event after a start. Without Redis it
        // does not wait.
        if is_up {
            let _ = timeout(FIRST_CONNECTION, first.wait_for(|listening| *listening)).await;
        }
        Ok(Self { client, stop, task, listening: first })
    }

    /// Returns whether the listener is subscribed, for the readiness check.
    pub fn listening(&self) -> watch::Receiver<bool> {
        self.listening.clone()
    }

    /// Stops the task and waits for its end.
    pub async fn stop(self) {
        self.stop.cancel();
        // The token ends the task. The runtime has already reported a panic in it.
        let _ = self.task.await;
        let _ = self.client.quit().await;
    }
}

/// Handles messages and new connections forever.
async fn listen(
    client: &SubscriberClient,
    mut messages: Receiver<Message>,
    mut connected: Receiver<Server>,
    reaction: &Reaction,
) {
    let outage = RecurringFailure::new(
        CHANNEL,
        "the listener cannot subscribe to its channel",
        "the listener has subscribed again",
    );
    loop {
        tokio::select! {
            message = messages.recv() => match message {
                Ok(message) => reaction.handle_message(&message).await,
                Err(RecvError::Lagged(lost)) => reaction.drop_cache(&format!("{lost} messages came too fast")).await,
                // The client closes the channel only when it is dropped, and this task holds it.
                Err(RecvError::Closed) => messages = client.message_rx(),
            },
            // This includes the first connection. The listener subscribes first and then invalidates: in the other
            // order, an event between the two would neither be received nor be covered by the invalidation.
            _ = connected.recv() => {
                let mut backoff = Backoff::between(SUBSCRIBE_AGAIN.0, SUBSCRIBE_AGAIN.1);
                while let Err(error) = subscribe(client).await {
                    reaction.listening.send_replace(false);
                    outage.failed(error);
                    sleep(backoff.pause()).await;
                }
                outage.recovered();
                reaction.drop_cache("the connection is new").await;
            }
        }
    }
}

/// Subscribes, and asks the server whether the subscription exists: the client reports success as soon as it has
/// written the command, and ignores a refusal.
async fn subscribe(client: &SubscriberClient) -> Result<(), Error> {
    client.subscribe(CHANNEL).await?;
    let info: String = client.client_info().await?;
    match info.contains(" sub=1 ") {
        true => Ok(()),
        false => Err(Error::new(ErrorKind::Auth, "the server refuses it")),
    }
}

/// The event handler of this process.
struct Reaction {
    cache: CacheClient,
    caches: Caches,
    /// True while the process is subscribed.
    listening: watch::Sender<bool>,
}

impl Reaction {
    async fn handle_message(&self, message: &Message) {
        let Some(event) = parse(&message.value) else {
            counter!("product_events_total", "result" => "malformed").increment(1);
            warn!("a message on {CHANNEL} is not an event; it is ignored");
            return;
        };
        self.cache.feed().event(event.change.kind.name(), Some(event.seq), event.change.subject());
        if let Invalidated::Done { .. } = self.cache.invalidate(self.invalidation_for(&event.change)).await {
            // The difference of the clocks of the database and of this process. On one machine they are the same clock.
            let took = (Utc::now() - event.occurred_at).to_std().unwrap_or_default();
            histogram!("product_event_applied_seconds").record(took);
            counter!("product_events_total", "result" => "applied").increment(1);
        }
    }

    fn invalidation_for(&self, change: &ProductChange) -> Invalidation {
        match change.product_id {
            Some(product) => Invalidation::hard().key(self.caches.events.key(product)),
            None => Invalidation::hard().tag(keys::category(change.category_id.into())),
        }
    }

    async fn drop_cache(&self, why: &str) {
        counter!("product_events_total", "result" => "resync").increment(1);
        info!(why, "events may have been lost; the entries of strategy `events` are removed");
        // The cache retries a deferred invalidation, so this function need not.
        let _ = self.cache.invalidate(Invalidation::hard().tag(keys::events_lane())).await;
        self.listening.send_replace(true);
    }
}

fn parse(value: &Value) -> Option<ProductEvent> {
    ProductEvent::parse(value.as_bytes()?, PRODUCT_EVENTS.types).ok()
}

/// Returns a connection that fails a command in time, and reconnects forever.
fn builder(settings: &CacheSettings) -> Result<Builder, Error> {
    let timeout = settings.command_timeout;
    let mut config = Config::from_url(&settings.url)?;
    // With RESP2, a connection that subscribes cannot send other commands.
    config.version = RespVersion::RESP3;
    // If Redis is unavailable at the start, the client waits for it and does not give up.
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
