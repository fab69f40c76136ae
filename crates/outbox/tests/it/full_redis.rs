//! The memory of Redis is full, as caches may have filled it: events must continue nevertheless.

use outbox::consumer::{Delivery, Resync};
use testkit::eventually;

use crate::support::{AT_MOST, GROUP, Recorder, STREAM, World, applied, reads};

/// Makes Redis refuse every command that needs memory.
async fn fill(world: &World) {
    world.cli("CONFIG SET maxmemory-policy noeviction").await;
    world.cli("CONFIG SET maxmemory 1").await;
    let refused = world.redis.cli(&["SET", "a", "b"]).await.unwrap_err().to_string();
    assert!(refused.contains("OOM"), "{refused}");
}

async fn append(world: &World, numbers: std::ops::RangeInclusive<u64>) {
    world.log_only(numbers.clone());
    for seq in numbers {
        let append = "#!lua flags=allow-oom\n redis.call('XADD', KEYS[1], ARGV[1], 'event', ARGV[2])";
        let (id, event) = (format!("{seq}-0"), crate::support::event(seq));
        world.redis.cli(&["EVAL", append, "1", STREAM, &id, &event]).await.unwrap();
    }
}

#[tokio::test]
async fn full_redis_blocks_neither_a_group_nor_a_reader() {
    let (world, one, two) = (World::new().await, Recorder::new(), Recorder::new());
    fill(&world).await;
    let reader = world.start(Delivery::Log(0.into()), &one);
    let member = world.start(Delivery::Group(GROUP), &two);
    reads(&member).await;
    reads(&reader).await;
    append(&world, 1..=3).await;
    applied(&one, 1..=3).await;
    applied(&two, 1..=3).await;
    world.all_acknowledged().await;
    eventually("no lag", AT_MOST, async || member.status().lag == 0 && reader.status().lag == 0).await;
    assert_eq!((one.resyncs(), two.resyncs()), (vec![], vec![Resync::NewGroup]));
    reader.stop().await;
    member.stop().await;
}

#[tokio::test]
async fn full_redis_accepts_claims_and_dead_letters() {
    let (world, recorder) = (World::new().await, Recorder::new());
    world.member(&Recorder::new()).await.stop().await;
    world.append(1..=2).await;
    world.give_to_a_dead_peer(1).await;
    fill(&world).await;
    recorder.answer(|numbers| if numbers.contains(&2) { crate::support::refused() } else { Ok(()) });
    let consumer = world.start(Delivery::Group(GROUP), &recorder);
    applied(&recorder, [1]).await;
    eventually("the dead letter", AT_MOST, async || world.reasons().await == ["refused"]).await;
    world.all_acknowledged().await;
    consumer.stop().await;
}
