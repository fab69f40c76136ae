//! Subscribes to notifications of Redis: keyspace notifications of removed entries, and the channel of changes.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::Result;
use fred::clients::SubscriberClient;
use fred::interfaces::{ClientLike, EventInterface, PubsubInterface};
use fred::types::Builder;
use fred::types::config::Config;
use serde_json::Value;
use tokio::time::sleep;

/// An entry that still exists after this time was not invalidated.
pub(super) const LOST: Duration = Duration::from_secs(5);
/// The Pub/Sub channel of changes.
const UPDATES: &str = "product:updates";

/// The notifications of Redis: that an entry is gone, and, for the bare subscriber, that a product has changed.
#[derive(Clone)]
pub(super) struct Notifications {
    times: Arc<Mutex<Times>>,
    _client: SubscriberClient,
}

/// The times of the notifications: the latest removal of each key, and the message about each version of a product.
#[derive(Default)]
struct Times {
    gone: BTreeMap<String, Instant>,
    seen_by_subscriber: BTreeMap<(i64, i64), Instant>,
}

impl Notifications {
    pub(super) async fn listen(url: &str, keys: &[&str]) -> Result<Self> {
        let client = Builder::from_config(Config::from_url(url)?).build_subscriber_client()?;
        client.init().await?;
        let (mut messages, mut removals) = (client.message_rx(), client.keyspace_event_rx());
        client.subscribe(UPDATES).await?;
        client.subscribe(keys.iter().map(|key| format!("__keyspace@0__:{key}")).collect::<Vec<_>>()).await?;
        let times: Arc<Mutex<Times>> = Arc::default();
        let recorded = Arc::clone(&times);
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    Ok(event) = removals.recv() => {
                        let (now, key) = (Instant::now(), event.key.into_string().unwrap_or_default());
                        if event.operation == "del" {
                            recorded.lock().expect("no holder of the lock panics").gone.insert(key, now);
                        }
                    }
                    Ok(message) = messages.recv() => {
                        let now = Instant::now();
                        let event: Value =
                            serde_json::from_slice(message.value.as_bytes().unwrap_or_default()).unwrap_or_default();
                        if let (Some(id), Some(version)) = (event["product_id"].as_i64(), event["version"].as_i64()) {
                            recorded.lock().expect("no holder of the lock panics").seen_by_subscriber.insert((id, version), now);
                        }
                    }
                    else => break,
                }
            }
        });
        Ok(Self { times, _client: client })
    }

    /// Returns whether a notification says that an entry was removed after `began`.
    pub(super) fn any_gone<'a>(&self, mut keys: impl Iterator<Item = &'a str>, began: Instant) -> bool {
        let times = self.times.lock().expect("no holder of the lock panics");
        keys.any(|key| times.gone.get(key).is_some_and(|at| *at >= began))
    }

    /// Waits until an entry was removed after `began`, and returns when that was.
    pub(super) async fn gone(&self, key: &str, began: Instant) -> Option<Instant> {
        self.find(|times| times.gone.get(key).copied().filter(|at| *at >= began)).await
    }

    /// Waits until the subscriber was notified of a version of a product, and returns when that was.
    pub(super) async fn seen_by_subscriber(&self, id: i64, version: i64) -> Option<Instant> {
        self.find(|times| times.seen_by_subscriber.remove(&(id, version))).await
    }

    /// Polls every few milliseconds. The result is the time of the notification, not the time of the poll.
    async fn find(&self, mut look: impl FnMut(&mut Times) -> Option<Instant>) -> Option<Instant> {
        let began = Instant::now();
        while began.elapsed() < LOST {
            if let Some(at) = look(&mut self.times.lock().expect("no holder of the lock panics")) {
                return Some(at);
            }
            sleep(Duration::from_millis(5)).await;
        }
        None
    }
}
