//! A reader of the whole log misses no event, even if Redis or the log is unavailable.

use events::consumer::{Delivery, Resync};
use testkit::eventually;

use crate::support::{AT_MOST, Recorder, STREAM, World, applied, reads, refused, unavailable};

#[tokio::test]
async fn it_goes_on_after_its_position() {
    let (world, recorder) = (World::new().await, Recorder::new());
    world.append(1..=5).await;
    let consumer = world.start(Delivery::Log(2.into()), &recorder);
    applied(&recorder, 3..=5).await;
    world.append(6..=8).await;
    applied(&recorder, 3..=8).await;
    eventually("its position", AT_MOST, async || consumer.status().position == 8).await;
    consumer.stop().await;
    let again = Recorder::new();
    world.append(9..=9).await;
    let consumer = world.start(Delivery::Log(8.into()), &again);
    applied(&again, 9..=9).await;
    assert_eq!(again.resyncs(), []);
    consumer.stop().await;
}

#[tokio::test]
async fn what_the_stream_does_not_have_is_fetched_in_order() {
    let (world, recorder) = (World::new().await, Recorder::new());
    let consumer = world.start(Delivery::Log(0.into()), &recorder);
    reads(&consumer).await;
    world.append(1..=10).await;
    applied(&recorder, 1..=10).await;
    world.log_only(11..=1_500);
    world.append(1_501..=1_502).await;
    applied(&recorder, 1..=1_502).await;
    assert_eq!(recorder.resyncs(), []);
    consumer.stop().await;
}

#[tokio::test]
async fn a_log_that_is_away_is_waited_for() {
    let (world, recorder) = (World::new().await, Recorder::new());
    let consumer = world.start(Delivery::Log(0.into()), &recorder);
    reads(&consumer).await;
    world.append(1..=2).await;
    applied(&recorder, 1..=2).await;
    world.log.away(true);
    world.log_only(3..=4);
    world.append(5..=6).await;
    let asked = world.log.asked();
    eventually("some requests", AT_MOST, async || world.log.asked() >= asked + 4).await;
    assert_eq!(recorder.applied(), [1, 2], "nothing is left out");
    world.log.away(false);
    applied(&recorder, 1..=6).await;
    assert_eq!(recorder.resyncs(), []);
    consumer.stop().await;
}

#[tokio::test]
async fn what_the_log_has_forgotten_is_made_good_by_beginning_anew() {
    let (world, recorder) = (World::new().await, Recorder::new());
    world.log_only(1..=20);
    world.log.forget(10);
    world.stream_only(15..=20).await;
    recorder.resync_answer(Ok(Some(12.into())));
    let consumer = world.start(Delivery::Log(3.into()), &recorder);
    applied(&recorder, 13..=20).await;
    assert_eq!(recorder.resyncs(), [Resync::Gap]);
    assert_eq!(consumer.status().position, 20);
    consumer.stop().await;
}

#[tokio::test]
async fn without_redis_it_reads_the_log() {
    let (world, recorder) = (World::new().await, Recorder::new());
    let consumer = world.start(Delivery::Log(0.into()), &recorder);
    reads(&consumer).await;
    world.append(1..=2).await;
    applied(&recorder, 1..=2).await;
    world.redis.kill().await.unwrap();
    world.log_only(3..=4);
    applied(&recorder, 1..=4).await;
    eventually("the loss to be seen", AT_MOST, async || !consumer.status().connected).await;
    world.redis.restart().await.unwrap();
    reads(&consumer).await;
    world.stream_only(3..=4).await;
    world.append(5..=6).await;
    applied(&recorder, 1..=6).await;
    assert_eq!(recorder.resyncs(), [Resync::RedisChanged]);
    consumer.stop().await;
}

#[tokio::test]
async fn a_redis_that_hangs_is_done_without() {
    let (world, recorder) = (World::new().await, Recorder::new());
    let consumer = world.start(Delivery::Log(0.into()), &recorder);
    reads(&consumer).await;
    world.append(1..=2).await;
    applied(&recorder, 1..=2).await;
    world.redis.pause();
    world.log_only(3..=4);
    applied(&recorder, 1..=4).await;
    world.redis.resume();
    world.stream_only(3..=4).await;
    world.append(5..=6).await;
    applied(&recorder, 1..=6).await;
    assert_eq!(recorder.resyncs(), []);
    consumer.stop().await;
}

#[tokio::test]
async fn it_reads_on_from_the_log_where_the_stream_was_lost_and_nothing_new_happens() {
    let (world, recorder) = (World::new().await, Recorder::new());
    world.log_only(1..=4);
    let consumer = world.start(Delivery::Log(2.into()), &recorder);
    applied(&recorder, 3..=4).await;
    assert_eq!(world.cli(&format!("EXISTS {STREAM}")).await, "0");
    consumer.stop().await;
}

#[tokio::test]
async fn a_log_that_was_never_so_far_is_another_one() {
    let (world, recorder) = (World::new().await, Recorder::new());
    world.append(1..=4).await;
    recorder.resync_answer(Ok(Some(0.into())));
    let consumer = world.start(Delivery::Log(5_000.into()), &recorder);
    applied(&recorder, 1..=4).await;
    assert_eq!(recorder.resyncs(), [Resync::OtherHistory]);
    assert_eq!(consumer.status().position, 4);
    consumer.stop().await;
}

#[tokio::test]
async fn a_log_that_becomes_another_one_meanwhile_is_noticed_though_nothing_breaks() {
    let (world, recorder) = (World::new().await, Recorder::new());
    world.append(1..=6).await;
    let consumer = world.start(Delivery::Log(0.into()), &recorder);
    applied(&recorder, 1..=6).await;
    // Restored from a backup: the relay finds a stream that ends after its head, removes it, and continues with lower
    // numbers.
    recorder.resync_answer(Ok(Some(3.into())));
    world.log.clear();
    world.log_only(1..=3);
    world.cli(&format!("DEL {STREAM}")).await;
    world.append(4..=5).await;
    applied(&recorder, [1, 2, 3, 4, 5, 6, 4, 5]).await;
    assert_eq!(recorder.resyncs(), [Resync::OtherHistory]);
    consumer.stop().await;
}

#[tokio::test]
async fn a_resync_on_the_way_sets_the_position_anew() {
    let (world, recorder) = (World::new().await, Recorder::new());
    world.append(1..=6).await;
    recorder.resync_answer(Ok(Some(4.into())));
    recorder.answer(|numbers| if numbers.contains(&3) { refused() } else { Ok(()) });
    let consumer = world.start(Delivery::Log(0.into()), &recorder);
    eventually("its position", AT_MOST, async || consumer.status().position == 6).await;
    assert_eq!(recorder.resyncs(), [Resync::LostEvent]);
    assert_eq!(recorder.applied(), [1, 2, 4, 5, 6, 5, 6]);
    consumer.stop().await;
}

#[tokio::test]
async fn how_far_it_is_behind_is_told_without_redis_too() {
    let (world, recorder) = (World::new().await, Recorder::new());
    world.redis.kill().await.unwrap();
    world.log_only(1..=3);
    recorder.answer(|_| unavailable());
    let consumer = world.start(Delivery::Log(0.into()), &recorder);
    eventually("an attempt", AT_MOST, async || recorder.begun() > 0).await;
    recorder.answer(|_| Ok(()));
    applied(&recorder, 1..=3).await;
    eventually("no lag", AT_MOST, async || consumer.status().lag == 0).await;
    assert_eq!(consumer.status().position, 3);
    consumer.stop().await;
}
