//! The memory of Redis is full, as caches may have filled it: events must continue nevertheless.

use outbox::consumer::{Delivery, Resync};
use testkit::eventually;

use crate::support::{AT_MOST, Fixture, GROUP, Recorder, STREAM, applied, reads};

/// Makes Redis refuse every command that needs memory.
async fn fill(fixture: &Fixture) {
    fixture.cli("CONFIG SET maxmemory-policy noeviction").await;
    fixture.cli("CONFIG SET maxmemory 1").await;
    let refused = fixture.redis.cli(&["SET", "a", "b"]).await.unwrap_err().to_string();
    assert!(refused.contains("OOM"), "{refused}");
}

async fn append(fixture: &Fixture, numbers: std::ops::RangeInclusive<u64>) {
    fixture.log_only(numbers.clone());
    for seq in numbers {
        let append = "#!lua flags=allow-oom\n redis.call('XADD', KEYS[1], ARGV[1], 'event', ARGV[2])";
        let (id, event) = (format!("{seq}-0"), crate::support::event(seq));
        fixture.redis.cli(&["EVAL", append, "1", STREAM, &id, &event]).await.unwrap();
    }
}

#[tokio::test]
async fn full_redis_blocks_neither_a_group_nor_a_reader() {
    let (fixture, one, two) = (Fixture::new().await, Recorder::new(), Recorder::new());
    fill(&fixture).await;
    let reader = fixture.start(Delivery::Log(0.into()), &one);
    let member = fixture.start(Delivery::Group(GROUP), &two);
    reads(&member).await;
    reads(&reader).await;
    append(&fixture, 1..=3).await;
    applied(&one, 1..=3).await;
    applied(&two, 1..=3).await;
    fixture.all_acknowledged().await;
    eventually("no lag", AT_MOST, async || member.status().lag == 0 && reader.status().lag == 0).await;
    assert_eq!((one.resyncs(), two.resyncs()), (vec![], vec![Resync::NewGroup]));
    reader.stop().await;
    member.stop().await;
}

#[tokio::test]
async fn full_redis_accepts_claims_and_dead_letters() {
    let (fixture, recorder) = (Fixture::new().await, Recorder::new());
    fixture.member(&Recorder::new()).await.stop().await;
    fixture.append(1..=2).await;
    fixture.give_to_a_dead_peer(1).await;
    fill(&fixture).await;
    recorder.answer(|numbers| if numbers.contains(&2) { crate::support::refused() } else { Ok(()) });
    let consumer = fixture.start(Delivery::Group(GROUP), &recorder);
    applied(&recorder, [1]).await;
    eventually("the dead letter", AT_MOST, async || fixture.reasons().await == ["refused"]).await;
    fixture.all_acknowledged().await;
    consumer.stop().await;
}
