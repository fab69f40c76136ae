//! The end of a guard: its writer dies, Redis loses it, or Redis is not there.

use std::time::Duration;

use cache::outcome::{Fill, FillRefusal};
use cache::write_guard::Released;
use cache::{CacheSettings, Invalidated, Invalidation, Outcome};
use futures_util::future::poll_immediate;
use testkit::{Redis, eventually};

use super::{GUARDED, GUARDS, STORED, assert_read, guards_left, release};
use crate::support::{
    LONG, Node, Row, SOON, behind_proxy, existing, filled_node, number, one_node, patient, settings, shelf, through,
};

/// Waits until a guard with a short lease is over.
async fn until_over(redis: &Redis) {
    let over = "local t = redis.call('TIME')
        local first = redis.call('ZRANGE', KEYS[1], -1, -1, 'WITHSCORES')
        return (not first[2] or tonumber(first[2]) < t[1] * 1000 + math.floor(t[2] / 1000)) and 1 or 0";
    eventually("the end of the guard", SOON, async || redis.cli(&["EVAL", over, "1", GUARDS]).await.unwrap() == "1")
        .await;
}

#[tokio::test]
async fn guard_of_a_dead_writer_ends_and_reads_are_stored_again() {
    let (redis, node, row) = one_node([shelf(1)]).await;
    let guard = node.client.guard(Invalidation::hard().key(node.key(1)).tag(shelf(1)), Duration::from_millis(50)).await;
    assert!(guard.is_in_place());
    // As when the process of the writer is killed after COMMIT.
    drop(guard);
    row.commit();
    until_over(&redis).await;
    // The first commit after the end refuses every load that began before it, and removes the guard.
    assert_read(&node.read(9, &Row::new([])).await, 1, Outcome::Miss(Fill::Refused(FillRefusal::BelowFloor)));
    assert_eq!(existing(&redis, &[GUARDS]).await, 0);
    assert_read(&node.read(1, &row).await, 2, STORED);
}

/// The load reads the old value while the guard is in place, and ends after it: neither the guard nor a second
/// invalidation refuses its fill.
#[tokio::test]
async fn load_that_outlasts_the_guard_of_a_dead_writer_is_refused() {
    let (redis, node, row) = one_node([shelf(1)]).await;
    for (id, others) in [(1, 0), (2, 1)] {
        let names = Invalidation::hard().key(node.key(1)).tag(shelf(1));
        drop(node.client.guard(names, Duration::from_millis(300)).await);
        let (reading, load) = node.loading(id, &row).await;
        row.commit();
        until_over(&redis).await;
        // Another fill may be the first one after the end.
        for other in 0..others {
            node.read(100 + other, &row).await;
        }
        let before = row.version() - 1;
        load.finish();
        assert_read(&reading.value().await, before, Outcome::Miss(Fill::Refused(FillRefusal::BelowFloor)));
        assert_read(&node.read(id, &row).await, before + 1, STORED);
    }
}

#[tokio::test]
async fn guard_that_ended_before_its_release_is_reported() {
    let (redis, node, row) = filled_node([]).await;
    let guard = node.client.guard(node.of_key(1), Duration::from_millis(50)).await;
    until_over(&redis).await;
    node.read(2, &row).await;
    node.fill(1, &row).await;
    row.commit();
    assert_eq!(guard.release().await, Released { invalidated: Invalidated::Done { entries: 1 }, guarded: false });
    assert_read(&node.read(1, &row).await, 2, STORED);
}

#[tokio::test]
async fn guard_that_redis_lost_is_reported_and_invalidated() {
    let (redis, node, row) = one_node([]).await;
    let guard = node.guard(node.of_key(1)).await;
    redis.cli(&["FLUSHALL"]).await.unwrap();
    node.fill(1, &row).await;
    row.commit();
    assert_eq!(guard.release().await, Released { invalidated: Invalidated::Done { entries: 1 }, guarded: false });
    assert_read(&node.read(1, &row).await, 2, STORED);
}

#[tokio::test]
async fn guard_without_redis_is_not_in_place_and_the_write_goes_on() {
    let (redis, node, row) = filled_node([]).await;
    redis.kill().await.unwrap();
    let guard = node.client.guard(node.of_key(1), LONG).await;
    assert!(!guard.is_in_place());
    row.commit();
    assert_eq!(guard.release().await, Released { invalidated: Invalidated::Deferred, guarded: false });
    assert_eq!(node.read(1, &row).await.version(), Some(2));
    redis.restart().await.unwrap();
    eventually("the deferred invalidation", SOON, async || node.client.pending_invalidations() == 0).await;
    eventually("a hit", SOON, async || node.read(1, &row).await.outcome() == Outcome::Hit).await;
    assert_read(&node.read(1, &row).await, 2, Outcome::Hit);
}

/// Redis is away while the guard is placed, and back when it is released.
#[tokio::test]
async fn write_whose_guard_failed_is_invalidated_and_reported() {
    let (redis, node, row) = filled_node([]).await;
    let writer = Node::on(&redis).await;
    redis.kill().await.unwrap();
    let guard = writer.client.guard(node.of_key(1), LONG).await;
    assert!(!guard.is_in_place());
    redis.restart().await.unwrap();
    for up in [&node, &writer] {
        eventually("Redis", SOON, async || up.client.health().is_in_use() && up.client.pending_invalidations() == 0)
            .await;
    }
    eventually("the old value", SOON, async || node.read(1, &row).await.outcome() == Outcome::Hit).await;
    row.commit();
    assert_eq!(guard.release().await, Released { invalidated: Invalidated::Done { entries: 1 }, guarded: false });
    assert_read(&node.read(1, &row).await, 2, STORED);
}

/// While Redis' replies are held, a client has carried out only the first of its steps.
#[tokio::test]
async fn guard_is_placed_before_the_removal_and_released_after_it() {
    let (redis, proxy, writer, node) = behind_proxy().await;
    // Redis knows the scripts after that.
    release(node.guard(Invalidation::hard().tag(shelf(1))).await).await;
    node.fill(1, &Row::new([shelf(1)])).await;
    let client = writer.client.clone();
    proxy.delay_replies();
    let placing = tokio::spawn(async move { client.guard(Invalidation::hard().tag(shelf(1)), LONG).await });
    let state = async || [existing(&redis, &[GUARDS]).await, existing(&redis, &["shop:item:1"]).await];
    eventually("a step of the guard", SOON, async || state().await != [0, 1]).await;
    assert_eq!(state().await, [1, 1], "a load could begin after the removal and be stored before the guard");
    proxy.release_replies();
    let guard = placing.await.unwrap();
    assert!(guard.is_in_place());
    let clock = number(&redis, &["HGET", "shop:~fence", "clk"]).await;
    let state = async || (guards_left(&redis).await, number(&redis, &["HGET", "shop:~fence", "clk"]).await);
    proxy.delay_replies();
    let releasing = tokio::spawn(guard.release());
    eventually("a step of the release", SOON, async || state().await != (1, clock)).await;
    assert_eq!(state().await, (1, clock + 1), "a load from before COMMIT could be stored after the guard");
    proxy.release_replies();
    assert!(releasing.await.unwrap().guarded);
}

/// The writer commits, and its invalidation does not reach Redis: until the guard is over, no process stores a value.
#[tokio::test]
async fn guard_stays_while_the_invalidation_is_deferred() {
    let (redis, proxy, node, peer) = behind_proxy().await;
    let row = Row::new([]);
    let brief = CacheSettings { command_timeout: Duration::from_secs(2), ..settings(through(&proxy)) };
    let writer = Node::with(&brief, patient()).await;
    let guard = writer.guard(writer.of_key(1)).await;
    proxy.hold_requests();
    row.commit();
    assert_eq!(guard.release().await, Released { invalidated: Invalidated::Deferred, guarded: false });
    assert_read(&peer.read(1, &row).await, 2, GUARDED);
    proxy.release_requests();
    eventually("the deferred invalidation", SOON, async || writer.client.pending_invalidations() == 0).await;
    assert_eq!(guards_left(&redis).await, 1);
    assert_read(&node.read(1, &row).await, 2, GUARDED);
}

#[tokio::test]
async fn release_completes_after_its_future_is_dropped() {
    let (redis, node, _row) = one_node([]).await;
    let guard = node.guard(node.of_key(1)).await;
    assert!(poll_immediate(guard.release()).await.is_none());
    eventually("the release", SOON, async || existing(&redis, &[GUARDS]).await == 0).await;
}
