//! Shared fixtures: a private Redis with a stream, a log over HTTP, and a recording event handler.

mod log;
mod recorder;

use std::time::Duration;

use fred::clients::Client;
use fred::interfaces::{ClientLike, LuaInterface};
use fred::types::CustomCommand;
use fred::types::Value as RedisValue;
pub(crate) use log::Log;
use outbox::consumer::{Consumer, ConsumerSettings, Delivery, HandlerError, Subscription, Transport};
use outbox::{EventSource, RedisAddress};
pub(crate) use recorder::Recorder;
use redis_connect::RedisClients;
use serde_json::{Value, json};
use testkit::{Redis, eventually};
use uuid::Uuid;

pub(crate) const ORDER_EVENTS: EventSource =
    EventSource { stream: STREAM, channel: Some(CHANNEL), types: &["order.updated"] };
pub(crate) const STREAM: &str = "order:events";
pub(crate) const CHANNEL: &str = "order:updates";
pub(crate) const GROUP: &str = "shipping";
pub(crate) const LETTERS: &str = "shipping:~dead-letters";

/// Long enough for every expected event on a busy machine.
pub(crate) const AT_MOST: Duration = testkit::SOON;

/// The time after which the tests' consumers claim pending entries.
pub(crate) const CLAIM: Duration = Duration::from_millis(800);

/// Appends all entries in one script, as the relay does.
const APPEND: &str = "for i = 1, #ARGV, 2 do redis.call('XADD', KEYS[1], ARGV[i], 'event', ARGV[i + 1]) end return 1";

/// The stores of the events.
pub(crate) struct Fixture {
    pub(crate) redis: Redis,
    pub(crate) log: Log,
}

impl Fixture {
    pub(crate) async fn new() -> Self {
        Self { redis: Redis::start().await.unwrap(), log: Log::start().await }
    }

    /// Adds events to the stream and to the log.
    pub(crate) async fn append(&self, numbers: impl IntoIterator<Item = u64> + Clone) {
        self.log_only(numbers.clone());
        self.stream_only(numbers).await;
    }

    /// Adds events to the log, but not to the stream.
    pub(crate) fn log_only(&self, numbers: impl IntoIterator<Item = u64>) {
        for seq in numbers {
            self.log.add(seq, serde_json::from_str(&event(seq)).unwrap());
        }
    }

    /// Adds events to the stream, but not to the log.
    pub(crate) async fn stream_only(&self, numbers: impl IntoIterator<Item = u64>) {
        self.append_all(numbers.into_iter().flat_map(|seq| [format!("{seq}-0"), event(seq)]).collect()).await;
    }

    /// Adds events of an epoch to the stream and to the log.
    pub(crate) async fn append_of(&self, epoch: Uuid, numbers: impl IntoIterator<Item = u64>) {
        let events: Vec<(u64, String)> = numbers.into_iter().map(|seq| (seq, event_of(epoch, seq))).collect();
        for (seq, event) in &events {
            self.log.add(*seq, serde_json::from_str(event).unwrap());
        }
        let arguments = events.into_iter().flat_map(|(seq, event)| [format!("{seq}-0"), event]).collect();
        self.append_all(arguments).await;
    }

    /// Simulates the relay after the database was restored to number `seq`: it begins an epoch, assigns `numbers` in
    /// it, and replays the stream.
    pub(crate) async fn restore(&self, seq: u64, epoch: Uuid, numbers: impl IntoIterator<Item = u64>) {
        self.log.restore(seq);
        self.log.begin(seq + 1, epoch);
        for number in numbers {
            self.log.add(number, serde_json::from_str(&event_of(epoch, number)).unwrap());
        }
        self.cli(&format!("DEL {STREAM}")).await;
        self.append_all(self.log.entries()).await;
    }

    async fn append_all(&self, arguments: Vec<String>) {
        let client = self.client().await;
        let _: RedisValue = client.eval(APPEND, STREAM, arguments).await.unwrap();
        client.quit().await.unwrap();
    }

    pub(crate) async fn message(&self, seq: u64, field: &str, text: &str) {
        self.redis.cli(&["XADD", STREAM, &format!("{seq}-0"), field, text]).await.unwrap();
    }

    pub(crate) async fn client(&self) -> Client {
        let client = RedisAddress::parse(&self.redis.url()).unwrap().client(Duration::ZERO);
        client.init().await.unwrap();
        client
    }

    pub(crate) async fn cli(&self, command: &str) -> String {
        self.redis.cli(&command.split(' ').collect::<Vec<_>>()).await.unwrap()
    }

    /// Delivers up to `count` events of the group to a process that dies.
    pub(crate) async fn give_to_a_dead_peer(&self, count: u64) {
        let client = self.client().await;
        let args = format!("GROUP {GROUP} dead COUNT {count} STREAMS {STREAM} >");
        let command = CustomCommand::new_static("XREADGROUP", None::<u16>, false);
        let _: RedisValue =
            client.custom(command, args.split(' ').map(str::to_owned).collect::<Vec<_>>()).await.unwrap();
        client.quit().await.unwrap();
    }

    pub(crate) fn start_with(&self, settings: &ConsumerSettings, delivery: Delivery, recorder: &Recorder) -> Consumer {
        let subscription =
            Subscription { source: ORDER_EVENTS, delivery, dead_letters: LETTERS.to_owned(), log: self.log.client() };
        let redis = RedisAddress::parse(&self.redis.url()).unwrap();
        Consumer::start(settings, &redis, subscription, recorder.clone())
    }

    pub(crate) fn start(&self, delivery: Delivery, recorder: &Recorder) -> Consumer {
        self.start_with(&settings(), delivery, recorder)
    }

    /// Starts a new member of the group, and waits until it reads.
    pub(crate) async fn member(&self, recorder: &Recorder) -> Consumer {
        let consumer = self.start(Delivery::Group(GROUP), recorder);
        reads(&consumer).await;
        consumer
    }

    pub(crate) async fn pending(&self) -> u64 {
        let summary = self.cli(&format!("XPENDING {STREAM} {GROUP}")).await;
        summary.lines().next().unwrap_or("0").parse().unwrap()
    }

    pub(crate) async fn reasons(&self) -> Vec<String> {
        let letters = self.cli(&format!("XRANGE {LETTERS} - +")).await;
        let lines: Vec<&str> = letters.lines().collect();
        lines.windows(2).filter(|pair| pair[0] == "reason").map(|pair| pair[1].to_owned()).collect()
    }

    /// Waits until there are no pending entries.
    pub(crate) async fn all_acknowledged(&self) {
        eventually("everything to be acknowledged", AT_MOST, async || self.pending().await == 0).await;
    }
}

pub(crate) fn settings() -> ConsumerSettings {
    ConsumerSettings {
        transport: Transport::Stream,
        batch: 256,
        claim_after: CLAIM,
        max_attempts: 3,
        ..ConsumerSettings::default()
    }
}

pub(crate) fn event(seq: u64) -> String {
    json!({
        "event_id": Uuid::from_u128(seq.into()), "seq": seq, "schema": 1, "type": "order.updated", "order_id": seq,
        "version": 2, "occurred_at": chrono::Utc::now(),
    })
    .to_string()
}

pub(crate) fn event_of(epoch: Uuid, seq: u64) -> String {
    let mut event: Value = serde_json::from_str(&event(seq)).unwrap();
    event["event_id"] = json!(Uuid::new_v4());
    event["epoch"] = json!(epoch);
    event.to_string()
}

pub(crate) async fn reads(consumer: &Consumer) {
    eventually("the consumer to read", AT_MOST, async || consumer.status().connected).await;
}

/// Waits until exactly these events were applied, in this order.
pub(crate) async fn applied(recorder: &Recorder, numbers: impl IntoIterator<Item = u64>) {
    let numbers: Vec<u64> = numbers.into_iter().collect();
    eventually("the events to be carried out", AT_MOST, async || {
        let applied = recorder.applied();
        assert!(applied.len() <= numbers.len(), "more than expected was carried out: {applied:?}");
        applied == numbers
    })
    .await;
}

pub(crate) fn unavailable() -> Result<(), HandlerError> {
    Err(HandlerError::Unavailable("the database is away".to_owned()))
}

pub(crate) fn refused() -> Result<(), HandlerError> {
    Err(HandlerError::Refused("it cannot be".to_owned()))
}

/// Starts a member of the group that reads events of its own, and records them.
pub(crate) async fn with_member() -> (Fixture, Recorder, Consumer) {
    let (fixture, recorder) = (Fixture::new().await, Recorder::new());
    let consumer = fixture.member(&recorder).await;
    (fixture, recorder, consumer)
}
