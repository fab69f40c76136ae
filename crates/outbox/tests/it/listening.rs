//! Over Pub/Sub, events are lost while no consumer is subscribed. The tests demonstrate this cost.

use outbox::consumer::{ConsumerSettings, Delivery, Transport};
use testkit::eventually;

use crate::support::{AT_MOST, CHANNEL, Fixture, GROUP, Recorder, applied, event, reads, refused, settings};

async fn publish(fixture: &Fixture, seq: u64) {
    fixture.redis.cli(&["PUBLISH", CHANNEL, &event(seq)]).await.unwrap();
}

fn pubsub() -> ConsumerSettings {
    ConsumerSettings { transport: Transport::Pubsub, ..settings() }
}

#[tokio::test]
async fn pubsub_events_are_applied_or_lost_while_disconnected() {
    let (fixture, recorder) = (Fixture::new().await, Recorder::new());
    let consumer = fixture.start_with(&pubsub(), Delivery::Group(GROUP), &recorder);
    reads(&consumer).await;
    publish(&fixture, 1).await;
    publish(&fixture, 2).await;
    applied(&recorder, 1..=2).await;
    fixture.cli("ACL SETUSER default -subscribe").await;
    fixture.cli("CLIENT KILL TYPE pubsub").await;
    eventually("the connection to be missed", AT_MOST, async || !consumer.status().connected).await;
    publish(&fixture, 3).await;
    fixture.cli("ACL SETUSER default +subscribe").await;
    let hears = async || {
        publish(&fixture, 4).await;
        recorder.applied().contains(&4)
    };
    eventually("the connection to be made again", AT_MOST, hears).await;
    assert!(!recorder.applied().contains(&3));
    assert_eq!((recorder.resyncs(), fixture.log.asked()), (vec![], 0));
    consumer.stop().await;
}

#[tokio::test]
async fn refused_pubsub_event_is_lost() {
    let (fixture, recorder) = (Fixture::new().await, Recorder::new());
    let consumer = fixture.start_with(&pubsub(), Delivery::Group(GROUP), &recorder);
    reads(&consumer).await;
    recorder.answer(|_| refused());
    publish(&fixture, 1).await;
    eventually("the attempt", AT_MOST, async || recorder.begun() == 1).await;
    recorder.answer(|_| Ok(()));
    publish(&fixture, 2).await;
    applied(&recorder, [2]).await;
    consumer.stop().await;
}

#[tokio::test]
async fn refused_subscription_is_retried() {
    let (fixture, recorder) = (Fixture::new().await, Recorder::new());
    fixture.cli("ACL SETUSER default -subscribe").await;
    let consumer = fixture.start_with(&pubsub(), Delivery::Group(GROUP), &recorder);
    for _ in 0..2 {
        let refused = async || fixture.cli("ACL LOG").await.contains("subscribe");
        eventually("a refusal", AT_MOST, refused).await;
        fixture.cli("ACL LOG RESET").await;
    }
    eventually("the refusal to show", AT_MOST, async || consumer.status().refused).await;
    assert!(!consumer.status().connected);
    fixture.cli("ACL SETUSER default +subscribe").await;
    reads(&consumer).await;
    publish(&fixture, 1).await;
    applied(&recorder, [1]).await;
    consumer.stop().await;
}
