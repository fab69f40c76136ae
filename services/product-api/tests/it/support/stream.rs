//! The stream and the channel, as a subscriber receives them.

use fred::clients::SubscriberClient;
use fred::interfaces::{ClientLike, EventInterface, PubsubInterface};
use fred::types::config::Config;
use fred::types::{Builder, Message};
use serde_json::Value;
use testkit::{Redis, eventually};
use tokio::sync::broadcast::Receiver;

use super::{SOON, Stores};

/// The stream of every committed change.
pub(crate) const STREAM: &str = "product:events";

/// The events that the stream must hold according to the outbox.
const ROWS: &str = "SELECT (event || jsonb_strip_nulls(jsonb_build_object('seq', seq, 'epoch', (
        SELECT epoch FROM outbox_epochs WHERE first_seq <= seq ORDER BY first_seq DESC LIMIT 1))))::text
    FROM outbox ORDER BY seq";

/// Returns the events in the stream of a server, oldest first. Each must be a single JSON document. The id of its entry
/// must be its number, and its number must be one higher than that of the event before it.
pub(crate) async fn stream_of(redis: &Redis) -> Vec<Value> {
    let printed = redis.cli(&["XRANGE", STREAM, "-", "+"]).await.expect("the test's own command");
    let lines: Vec<&str> = printed.lines().filter(|line| !line.is_empty()).collect();
    let events: Vec<Value> = lines
        .chunks(3)
        .map(|entry| {
            let [id, "event", json] = entry else { panic!("an entry has one field: {entry:?}") };
            let event: Value = serde_json::from_str(json).expect("an event is JSON");
            assert_eq!(*id, format!("{}-0", event["seq"]), "{event}");
            event
        })
        .collect();
    for pair in events.windows(2) {
        assert_eq!(seq(&pair[1]), seq(&pair[0]) + 1, "a hole, or an event twice: {pair:?}");
    }
    events
}

impl Stores {
    /// Returns the events in the stream; see [`stream_of`].
    pub(crate) async fn stream(&self) -> Vec<Value> {
        stream_of(&self.redis).await
    }

    /// Returns the events that the stream must hold according to the outbox.
    pub(crate) async fn outbox(&self) -> Vec<Value> {
        let rows = self.sql(ROWS).await;
        rows.lines().map(|row| serde_json::from_str(row).expect("it is JSON")).collect()
    }

    /// Returns the stream after everything is published. It must hold all events of the outbox.
    pub(crate) async fn whole_stream(&self) -> Vec<Value> {
        self.until_published().await;
        let stream = self.stream().await;
        assert_eq!(stream.first().map(seq), Some(1), "the beginning is missing");
        assert_eq!(stream.last().map(seq), Some(self.head().await), "the end is missing");
        assert!(stream == self.outbox().await, "the stream and the outbox differ");
        stream
    }

    /// Returns the events after number `after`.
    pub(crate) async fn announced_after(&self, after: i64) -> Vec<Value> {
        self.until_published().await;
        self.stream().await.into_iter().filter(|event| seq(event) > after).collect()
    }

    /// Returns the last assigned number.
    pub(crate) async fn head(&self) -> i64 {
        self.sql("SELECT seq FROM outbox_head").await.parse().expect("a number")
    }

    /// Returns the last assigned number after everything is published.
    pub(crate) async fn settled_head(&self) -> i64 {
        self.until_published().await;
        self.head().await
    }

    /// Waits until this many committed changes have a number, but no entry in the stream.
    pub(crate) async fn until_numbered_and_waiting(&self, count: usize) {
        let counts = "SELECT count(*) FILTER (WHERE seq IS NULL), count(*) FROM outbox WHERE done_at IS NULL";
        eventually("the numbers", SOON, async || self.sql(counts).await == format!("0|{count}")).await;
    }

    /// Subscribes to the channel, as another service with strategy 4 would.
    pub(crate) async fn subscribe(&self) -> Channel {
        let config = Config::from_url(&self.redis.url()).expect("testkit's own URL");
        let mut builder = Builder::from_config(config);
        builder.with_performance_config(|performance| performance.broadcast_channel_capacity = 8_192);
        let client = builder.build_subscriber_client().expect("a plain client");
        client.init().await.expect("Redis is there");
        let heard = client.message_rx();
        client.subscribe("product:updates").await.expect("Redis is there");
        Channel { client, heard }
    }
}

pub(crate) struct Channel {
    client: SubscriberClient,
    heard: Receiver<Message>,
}

impl Channel {
    pub(crate) async fn next(&mut self) -> Value {
        let message = tokio::time::timeout(SOON, self.heard.recv()).await.expect("an event in time").expect("no lag");
        serde_json::from_slice(message.value.as_bytes().expect("a text")).expect("an event is JSON")
    }

    /// Ends the subscription.
    pub(crate) async fn close(self) {
        self.client.quit().await.expect("Redis is there");
    }
}

pub(crate) fn seq(event: &Value) -> i64 {
    event["seq"].as_i64().unwrap_or_else(|| panic!("no number in {event}"))
}
