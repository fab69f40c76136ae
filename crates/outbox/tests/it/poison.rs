//! Unreadable and refused events become dead letters, and do not block other events.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use outbox::SCHEMA;
use outbox::consumer::{ConsumerSettings, Delivery, Resync};
use serde_json::{Value, json};
use testkit::eventually;

use crate::support::{
    AT_MOST, Fixture, GROUP, LETTERS, Recorder, STREAM, applied, event, reads, refused, settings, with_member,
};

/// Returns an event that differs in one field.
fn other(seq: u64, field: &str, value: Value) -> Value {
    let mut event: Value = serde_json::from_str(&event(seq)).unwrap();
    event[field] = value;
    event
}

/// Delivers this message between two events, and checks its dead letter. Returns the applied events, the resyncs and
/// the reasons of the dead letters.
async fn between_events(message: &str, in_the_log: Option<Value>) -> (Vec<u64>, Vec<Resync>, Vec<String>) {
    let (fixture, recorder, consumer) = with_member().await;
    fixture.append(1..=1).await;
    fixture.log.add(2, in_the_log.unwrap_or(Value::Null));
    fixture.message(2, "event", message).await;
    fixture.append(3..=3).await;
    eventually("the next one", AT_MOST, async || recorder.applied().contains(&3)).await;
    fixture.all_acknowledged().await;
    let letters = fixture.cli(&format!("XRANGE {LETTERS} - +")).await;
    assert!(letters.contains("\n2-0\n") && letters.contains(&format!("\n{STREAM}\n")), "{letters}");
    assert!(letters.contains(message), "{letters}");
    consumer.stop().await;
    (recorder.applied(), recorder.resyncs(), fixture.reasons().await)
}

#[tokio::test]
async fn unreadable_message_is_replaced_by_the_copy_in_the_log() {
    let (applied, resyncs, reasons) = between_events("rubbish", Some(other(2, "version", json!(7)))).await;
    assert_eq!((applied, resyncs), (vec![1, 2, 3], vec![Resync::NewGroup]));
    assert_eq!(reasons, ["malformed"]);
}

#[tokio::test]
async fn message_unreadable_in_stream_and_log_causes_a_resync() {
    let broken = json!({ "seq": 2, "type": "order.updated" });
    let (applied, resyncs, reasons) = between_events("rubbish", Some(broken)).await;
    assert_eq!((applied, resyncs), (vec![1, 3], vec![Resync::NewGroup, Resync::LostEvent]));
    assert_eq!(reasons, ["malformed"]);
}

#[tokio::test]
async fn event_with_another_number_in_its_entry_is_malformed() {
    let (applied, resyncs, reasons) = between_events(&event(900), Some(other(2, "version", json!(7)))).await;
    assert_eq!((applied, resyncs), (vec![1, 2, 3], vec![Resync::NewGroup]));
    assert_eq!(reasons, ["malformed"]);
}

#[tokio::test]
async fn event_of_unknown_type_becomes_a_dead_letter_without_a_resync() {
    let message = other(2, "type", json!("order.praised")).to_string();
    let (applied, resyncs, reasons) = between_events(&message, None).await;
    assert_eq!((applied, resyncs), (vec![1, 3], vec![Resync::NewGroup]));
    assert_eq!(reasons, ["unknown-type"]);
}

#[tokio::test]
async fn stored_position_advances_past_dead_letters() {
    let (fixture, recorder) = (Fixture::new().await, Recorder::new());
    recorder.store_position(0);
    for delivery in [Delivery::Group(GROUP), Delivery::Log(0.into())] {
        fixture.cli("FLUSHALL").await;
        let consumer = fixture.start(delivery, &recorder);
        let message = other(1, "type", json!("order.praised"));
        fixture.log.add(1, message.clone());
        fixture.message(1, "event", &message.to_string()).await;
        eventually("it to be passed", AT_MOST, async || recorder.passed().last() == Some(&1)).await;
        assert_eq!(fixture.reasons().await, ["unknown-type"]);
        consumer.stop().await;
        recorder.forget_passed();
    }
}

#[tokio::test]
async fn event_of_a_newer_schema_causes_a_resync() {
    let message = other(2, "schema", json!(SCHEMA + 1)).to_string();
    let (applied, resyncs, reasons) = between_events(&message, None).await;
    assert_eq!((applied, resyncs), (vec![1, 3], vec![Resync::NewGroup, Resync::LostEvent]));
    assert_eq!(reasons, ["newer-schema"]);
}

#[tokio::test]
async fn entry_without_an_event_becomes_a_dead_letter() {
    let (fixture, recorder, _consumer) = with_member().await;
    fixture.log_only(1..=1);
    fixture.message(1, "news", "of another application").await;
    applied(&recorder, [1]).await;
    fixture.all_acknowledged().await;
    assert_eq!(fixture.reasons().await, ["malformed"]);
}

#[tokio::test]
async fn refused_event_becomes_a_dead_letter_and_other_events_are_applied() {
    let (fixture, recorder, _consumer) = with_member().await;
    recorder.answer(|numbers| if numbers.contains(&2) { refused() } else { Ok(()) });
    fixture.append(1..=4).await;
    eventually("the others", AT_MOST, async || recorder.applied().len() == 3).await;
    fixture.all_acknowledged().await;
    assert_eq!(recorder.applied(), [1, 3, 4]);
    assert_eq!(fixture.reasons().await, ["refused"]);
    assert_eq!(recorder.resyncs(), [Resync::NewGroup, Resync::LostEvent]);
    // One attempt for the batch, then `max_attempts` for the refused event, and one for each of the three others.
    assert_eq!(recorder.begun(), 1 + u64::from(settings().max_attempts) + 3);
}

#[tokio::test]
async fn event_refused_once_is_retried_and_applied() {
    let (fixture, recorder, _consumer) = with_member().await;
    let attempts = AtomicU32::new(0);
    recorder.answer(move |_| if attempts.fetch_add(1, Ordering::Relaxed) == 0 { refused() } else { Ok(()) });
    fixture.append(1..=1).await;
    applied(&recorder, [1]).await;
    fixture.all_acknowledged().await;
    assert_eq!(fixture.reasons().await, [""; 0]);
}

#[tokio::test]
async fn panic_of_the_event_handler_counts_as_a_refusal() {
    let (fixture, recorder, _consumer) = with_member().await;
    recorder.answer(|numbers| if numbers.contains(&2) { panic!("on purpose") } else { Ok(()) });
    fixture.append(1..=3).await;
    eventually("the others", AT_MOST, async || recorder.applied().len() == 2).await;
    fixture.all_acknowledged().await;
    assert_eq!((recorder.applied(), fixture.reasons().await), (vec![1, 3], vec!["refused".to_owned()]));
}

/// Each broken connection, and each process that dies, adds a delivery.
#[tokio::test]
async fn redeliveries_do_not_count_as_refused_attempts() {
    let (fixture, recorder) = (Fixture::new().await, Recorder::new());
    fixture.member(&Recorder::new()).await.stop().await;
    let attempts = AtomicU32::new(0);
    recorder.answer(move |_| if attempts.fetch_add(1, Ordering::Relaxed) == 0 { refused() } else { Ok(()) });
    fixture.append(1..=1).await;
    fixture.give_to_a_dead_peer(1).await;
    for _ in 0..2 * settings().max_attempts {
        fixture.cli(&format!("XCLAIM {STREAM} {GROUP} dead 0 1-0")).await;
    }
    let _consumer = fixture.member(&recorder).await;
    applied(&recorder, [1]).await;
    fixture.all_acknowledged().await;
    assert_eq!((fixture.reasons().await, recorder.begun()), (Vec::new(), 2));
}

#[tokio::test]
async fn event_is_acknowledged_only_after_its_dead_letter_is_written() {
    let (fixture, recorder) = (Fixture::new().await, Recorder::new());
    fixture.cli(&format!("SET {LETTERS} in-the-way")).await;
    let consumer = fixture.member(&recorder).await;
    fixture.log_only(1..=1);
    fixture.message(1, "event", "rubbish").await;
    applied(&recorder, [1]).await;
    eventually("it to begin again", AT_MOST, async || !consumer.status().connected).await;
    assert_eq!(fixture.pending().await, 1);
    fixture.cli(&format!("DEL {LETTERS}")).await;
    fixture.all_acknowledged().await;
    assert_eq!((fixture.reasons().await, recorder.applied()), (vec!["malformed".to_owned()], vec![1]));
}

#[tokio::test]
async fn log_reader_continues_after_dead_letters() {
    let (fixture, recorder) = (Fixture::new().await, Recorder::new());
    recorder.answer(|numbers| if numbers.contains(&2) { refused() } else { Ok(()) });
    let consumer = fixture.start(Delivery::Log(0.into()), &recorder);
    let reached = async |position| {
        eventually("its position", AT_MOST, async || consumer.status().position == position).await;
    };
    fixture.append(1..=3).await;
    reached(3).await;
    // After the resync, the reader may still take from the log what the stream does not have yet, and then it never sees
    // the message.
    let mut last = 3;
    while fixture.reasons().await != ["refused", "malformed"] {
        last += 1;
        fixture.log_only(last..=last);
        fixture.message(last, "event", "rubbish").await;
        reached(last).await;
        assert!(last < 50, "no message was read: {:?}", fixture.reasons().await);
    }
    assert_eq!(recorder.applied(), [1].into_iter().chain(3..=last).collect::<Vec<_>>());
    assert_eq!(recorder.resyncs(), [Resync::LostEvent]);
}

/// Its events would otherwise wait forever, because their claim is extended while it works.
#[tokio::test]
async fn handler_that_hangs_is_called_again() {
    let (fixture, recorder) = (Fixture::new().await, Recorder::new());
    let limited = ConsumerSettings { handler_timeout: Duration::from_millis(200), ..settings() };
    let consumer = fixture.start_with(&limited, Delivery::Group(GROUP), &recorder);
    reads(&consumer).await;
    recorder.hold();
    fixture.append(1..=1).await;
    eventually("another call", AT_MOST, async || recorder.begun() >= 2).await;
    recorder.go();
    applied(&recorder, [1]).await;
    fixture.all_acknowledged().await;
    assert!(fixture.reasons().await.is_empty(), "it is no dead letter");
    consumer.stop().await;
}
