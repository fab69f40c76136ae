//! Strategy 4: listens to `product:updates`, and removes what the announced change outdated from the `events` lane.
//!
//! Pub/Sub forgets who was not there. Whatever may have cost a message (a lost connection, a receiver that lagged)
//! is therefore answered in the same way: drop the whole `events` lane, and go on. The task ends by its token only.

use std::time::Duration;

use cache::{CacheClient, CacheSettings, Invalidated, Invalidation, Tag};
use chrono::Utc;
use events::contract::{ProductChange, ProductEvent};
use events::{Backoff, RecurringFailure, reconnect_when_silent};
use fred::clients::SubscriberClient;
use fred::error::{Error, ErrorKind};
use fred::interfaces::{ClientInterface, ClientLike, EventInterface, PubsubInterface};
use fred::types::config::{Config, ConnectionConfig, PerformanceConfig, ReconnectPolicy, Server};
use fred::types::{Builder, Message, RespVersion, Value};
use metrics::{counter, histogram};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::keys::{self, Caches};

/// The Pub/Sub channel: the relay publishes there what it appends to the stream.
const CHANNEL: &str = "product:updates";

/// How long a start waits for the connection where Redis is there.
const FIRST_CONNECTION: Duration = Duration::from_secs(1);

/// The pauses between two attempts to subscribe.
const SUBSCRIBE_AGAIN: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));

/// The listening task of one process.
#[derive(Debug)]
pub struct Listener {
    client: SubscriberClient,
    stop: CancellationToken,
    task: JoinHandle<()>,
    listening: watch::Receiver<bool>,
}

impl Listener {
    /// Subscribes and starts to listen; where Redis is away, as soon as it is there.
    pub async fn start(settings: &CacheSettings, cache: CacheClient, caches: Caches) -> Result<Self, Error> {
        let client = builder(settings)?.build_subscriber_client()?;
        let (listening, mut first) = watch::channel(false);
        let is_up = cache.health().is_in_use();
        let stop = CancellationToken::new();
        let reaction = Reaction { cache, caches, listening };
        // Before the connection is made, or its event could be missed.
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
        // So that the first event after a start is heard; without Redis there is nothing to wait for.
        if is_up {
            let _ = timeout(FIRST_CONNECTION, first.wait_for(|listening| *listening)).await;
        }
        Ok(Self { client, stop, task, listening: first })
    }

    /// Whether it is subscribed, for a readiness report.
    pub fn listening(&self) -> watch::Receiver<bool> {
        self.listening.clone()
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
                // The client is gone for good only when it is dropped, and this task holds it.
                Err(RecvError::Closed) => messages = client.message_rx(),
            },
            // Also the first connection. Subscribed first, then dropped: in the other order, an event between the two
            // would be neither heard nor made good.
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

/// Subscribes, and asks the server whether that stands: the client takes it for done once it is written, and drops a
/// refusal.
async fn subscribe(client: &SubscriberClient) -> Result<(), Error> {
    client.subscribe(CHANNEL).await?;
    let info: String = client.client_info().await?;
    match info.contains(" sub=1 ") {
        true => Ok(()),
        false => Err(Error::new(ErrorKind::Auth, "the server refuses it")),
    }
}

/// What an event does to this process' part of the cache.
struct Reaction {
    cache: CacheClient,
    caches: Caches,
    /// True while the subscription stands.
    listening: watch::Sender<bool>,
}

impl Reaction {
    async fn handle_message(&self, message: &Message) {
        let Some(event) = parse(&message.value) else {
            counter!("product_events_total", "result" => "malformed").increment(1);
            warn!("a message on {CHANNEL} is not an event; it is ignored");
            return;
        };
        self.cache.feed().event(event.change.kind.name(), Some(event.seq), about(&event.change));
        if let Invalidated::Done { .. } = self.cache.invalidate(self.invalidation_for(&event.change)).await {
            // The database's clock and ours: on one machine they are the same.
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
        // Deferred means that it is repeated: nothing more to do here.
        let _ = self.cache.invalidate(Invalidation::hard().tag(keys::events_lane())).await;
        self.listening.send_replace(true);
    }
}

/// What the feed says that it is about.
fn about(change: &ProductChange) -> Tag {
    match change.product_id {
        Some(product) => keys::product(product.into()),
        None => keys::category(change.category_id.into()),
    }
}

fn parse(value: &Value) -> Option<ProductEvent> {
    ProductEvent::parse(value.as_bytes()?).ok()
}

/// A connection that fails a command in time, and reconnects for ever.
fn builder(settings: &CacheSettings) -> Result<Builder, Error> {
    let timeout = settings.command_timeout;
    let mut config = Config::from_url(&settings.url)?;
    // Else a connection that subscribes can do nothing else.
    config.version = RespVersion::RESP3;
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
