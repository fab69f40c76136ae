//! The relay's messages on the Pub/Sub channel.

use std::future::pending;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use database::PostgresSettings;
use outbox::RedisAddress;
use outbox::consumer::{ConsumerSettings, Delivery, HandlerError, Transport};
use outbox::relay::{MIGRATIONS, OutboxEvent, Relay, RelayFailure, RelayHook, RelaySettings};
use serde_json::{Value, json};
use testkit::{Database, eventually};
use tokio::time::sleep;

use crate::support::{AT_MOST, Fixture, GROUP, ORDER_EVENTS, Recorder, STREAM, applied, event, reads, settings};

/// A service without work of its own.
struct NoHook;

impl RelayHook for NoHook {
    type Data = Value;

    async fn before_append(&self, _events: &[OutboxEvent<Value>]) -> Result<(), HandlerError> {
        Ok(())
    }

    async fn history_changed(&self) -> Result<(), HandlerError> {
        Ok(())
    }

    async fn redis_changed(&self) -> Result<(), HandlerError> {
        Ok(())
    }
}

async fn commit(database: &Database, seq: u64) {
    database.sql(&format!("INSERT INTO outbox (event) VALUES ('{}')", event(seq))).await;
}

#[tokio::test]
async fn event_whose_publish_is_refused_is_published_and_appended_later() {
    let (fixture, recorder, database) = (Fixture::new().await, Recorder::new(), Database::shared().await);
    let postgres: PostgresSettings = serde_json::from_value(json!({ "url": database.url() })).unwrap();
    database::migrate(&postgres, [MIGRATIONS], AT_MOST).await.unwrap();
    let pubsub = ConsumerSettings { transport: Transport::Pubsub, ..settings() };
    let consumer = fixture.start_with(&pubsub, Delivery::Group(GROUP), &recorder);
    reads(&consumer).await;
    let redis = RedisAddress::parse(&fixture.redis.url()).unwrap();
    let relay = Relay::start(&RelaySettings::default(), ORDER_EVENTS, &postgres, &redis, NoHook);
    let failing = relay.failing();
    commit(&database, 1).await;
    applied(&recorder, [1]).await;

    fixture.cli("ACL SETUSER default -publish").await;
    commit(&database, 2).await;
    eventually("the failure", AT_MOST, async || *failing.borrow() == Some(RelayFailure::Stream)).await;
    // Several attempts: a retry must not take the event for a published one.
    sleep(Duration::from_millis(500)).await;
    assert_eq!(*failing.borrow(), Some(RelayFailure::Stream));
    let waiting = database.sql("SELECT count(*) FROM outbox WHERE done_at IS NULL").await;
    assert_eq!((waiting.as_str(), fixture.cli(&format!("XLEN {STREAM}")).await.as_str()), ("1", "1"));

    fixture.cli("ACL SETUSER default +publish").await;
    applied(&recorder, [1, 2]).await;
    eventually("the end of the failure", AT_MOST, async || failing.borrow().is_none()).await;
    assert_eq!(fixture.cli(&format!("XLEN {STREAM}")).await, "2");
    relay.stop().await;
    consumer.stop().await;
}

/// Its first call never returns.
#[derive(Default)]
struct HangsOnce(AtomicBool);

impl RelayHook for HangsOnce {
    type Data = Value;

    async fn before_append(&self, _events: &[OutboxEvent<Value>]) -> Result<(), HandlerError> {
        if !self.0.swap(true, Ordering::Relaxed) {
            pending::<()>().await;
        }
        Ok(())
    }

    async fn history_changed(&self) -> Result<(), HandlerError> {
        Ok(())
    }

    async fn redis_changed(&self) -> Result<(), HandlerError> {
        Ok(())
    }
}

#[tokio::test]
async fn hook_that_hangs_is_called_again() {
    let (fixture, database) = (Fixture::new().await, Database::shared().await);
    let postgres: PostgresSettings = serde_json::from_value(json!({ "url": database.url() })).unwrap();
    database::migrate(&postgres, [MIGRATIONS], AT_MOST).await.unwrap();
    commit(&database, 1).await;
    let redis = RedisAddress::parse(&fixture.redis.url()).unwrap();
    let settings = RelaySettings { hook_timeout: Duration::from_millis(200), ..RelaySettings::default() };
    let relay = Relay::start(&settings, ORDER_EVENTS, &postgres, &redis, HangsOnce::default());
    let is_appended = async || fixture.cli(&format!("XLEN {STREAM}")).await == "1";
    eventually("the event in the stream", AT_MOST, is_appended).await;
    relay.stop().await;
}
