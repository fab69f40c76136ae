//! Redis is killed, frozen or unreachable: reads are slower but never stale, and everything recovers by itself.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
use std::time::Duration;

use cache::health::{Health, Reason};
use cache::outcome::{Bypass, Fill};
use cache::{CacheSettings, Invalidated, Invalidation, Outcome};
use testkit::{Redis, eventually};
use tokio::task::yield_now;
use tokio::time::Instant;

use crate::support::{LONG, Node, Proxy, Row, SOON, filled_node, patient, redis, settings, shelf, through, two_nodes};

/// The command timeout in tests in which some commands are not answered.
const TIMEOUT: Duration = Duration::from_millis(600);

async fn impatient(redis: &Redis) -> Node {
    let impatient = CacheSettings { command_timeout: TIMEOUT, ..settings(redis.url()) };
    Node::with(&impatient, patient()).await
}

/// Returns whether Redis loaded its snapshot; the client may have purged it by now.
async fn snapshot_was_loaded(redis: &Redis) -> bool {
    let persistence = redis.cli(&["INFO", "persistence"]).await.unwrap();
    let loaded = persistence.lines().find_map(|line| line.strip_prefix("rdb_last_load_keys_loaded:"));
    loaded.is_some_and(|keys| keys.trim() != "0")
}

async fn until_up(node: &Node) {
    eventually("the cache to notice that Redis is back", SOON, async || node.client.health() == Health::Up).await;
}

#[tokio::test]
async fn reads_bypass_the_cache_while_redis_is_down() {
    let (redis, node, row) = filled_node([]).await;
    for _ in 0..2 {
        redis.kill().await.unwrap();
        row.commit();
        for _ in 0..3 {
            let cached = node.read(1, &row).await;
            assert_eq!(cached.outcome(), Outcome::Bypass(Bypass::RedisDown));
            assert_eq!(cached.version(), Some(row.version()));
        }
        assert_eq!(node.client.health(), Health::Down(Reason::NoAnswer));
        redis.restart().await.unwrap();
        eventually("a hit, with no old value read on the way to it", SOON, async || {
            let cached = node.read(1, &row).await;
            assert_eq!(cached.version(), Some(row.version()));
            cached.outcome() == Outcome::Hit
        })
        .await;
    }
}

#[tokio::test]
async fn load_is_returned_although_redis_dies_during_it() {
    let redis = redis().await;
    let (node, row) = (impatient(&redis).await, Row::new([]));
    let (mut gate, load) = row.gated();
    let first = node.start(1, &load);
    let loading = gate.began().await;
    let joiner = node.start(1, &load);
    node.settle().await;
    redis.kill().await.unwrap();
    row.commit();
    loading.finish();
    let cached = first.value().await;
    assert_eq!((cached.version(), cached.outcome()), (Some(1), Outcome::Miss(Fill::Failed)));
    // No commit proves the value valid, so a reader that joined during the load needs one that began later.
    gate.began().await.finish();
    assert_eq!(joiner.value().await.version(), Some(2));
}

#[tokio::test]
async fn frozen_redis_delays_only_the_first_reads() {
    let redis = redis().await;
    let (node, row) = (impatient(&redis).await, Row::new([]));
    node.fill(1, &row).await;
    redis.pause();
    let mut slow = 0;
    for _ in 0..20 {
        let began = Instant::now();
        let cached = node.read(1, &row).await;
        assert_eq!(cached.outcome(), Outcome::Bypass(Bypass::RedisDown));
        slow += usize::from(began.elapsed() >= TIMEOUT);
    }
    // Two reads do; a machine that stalls makes others as slow. Without the breaker, each read would wait.
    assert!((1..=10).contains(&slow), "{slow} reads waited for Redis");
    redis.resume();
    until_up(&node).await;
    assert_eq!(node.read_from_cache(1, &row).await.outcome(), Outcome::Hit);
}

#[tokio::test]
async fn frozen_redis_does_not_delay_reads_one_after_the_other() {
    let redis = redis().await;
    let roomy = CacheSettings { command_timeout: TIMEOUT, max_loads: 5_000, ..settings(redis.url()) };
    let (node, row) = (Node::with(&roomy, patient()).await, Row::new([]));
    redis.pause();
    let began = Instant::now();
    let readings: Vec<_> = (0..3_000).map(|id| node.start(id, &row.loader())).collect();
    for reading in readings {
        assert_eq!(reading.value().await.outcome(), Outcome::Bypass(Bypass::RedisDown));
    }
    // One after the other, they would take half an hour.
    assert!(began.elapsed() < LONG, "{:?}", began.elapsed());
}

#[tokio::test]
async fn entries_not_invalidated_in_a_frozen_redis_are_not_served_later() {
    let redis = redis().await;
    let (node, row) = (impatient(&redis).await, Row::new([shelf(1)]));
    for by_tag in [false, true] {
        node.fill(1, &row).await;
        redis.pause();
        // After these reads the breaker is open, and no further command is sent that could run after the thaw.
        eventually("the breaker to open", SOON, async || {
            node.read(1, &row).await;
            !node.client.health().is_in_use()
        })
        .await;
        let version = row.commit();
        let invalidation = match by_tag {
            true => Invalidation::hard().tag(shelf(1)),
            false => Invalidation::hard().key(node.key(1)),
        };
        assert_eq!(node.client.invalidate(invalidation).await, Invalidated::Deferred);
        assert_eq!(node.client.pending_invalidations(), 1);
        redis.resume();
        eventually("the repair, with no old value read on the way to it", SOON, async || {
            assert_eq!(node.read(1, &row).await.version(), Some(version));
            node.client.pending_invalidations() == 0
        })
        .await;
        assert_eq!(node.read(1, &row).await.version(), Some(version));
        node.remove(1).await;
    }
}

#[tokio::test]
async fn timed_out_commands_that_run_later_leave_no_stale_value() {
    let redis = redis().await;
    let (node, peer) = (impatient(&redis).await, Node::on(&redis).await);
    let row = Row::new([shelf(1)]);
    let (reading, loading) = node.loading(1, &row).await;
    // The server receives the commit, the takeover of the lease and the removal, and runs them after the thaw.
    redis.pause();
    row.commit();
    loading.finish();
    let (cached, lease) = tokio::join!(reading.value(), node.cache.begin_write(1));
    assert_eq!(cached.outcome(), Outcome::Miss(Fill::Failed));
    let removing = node.client.invalidate(Invalidation::hard().key(node.key(1)).tag(shelf(1)));
    assert_eq!(removing.await, Invalidated::Deferred);
    assert_eq!(lease.publish(row.read()).await, cache::write_through::Published::Deferred);
    redis.resume();
    until_up(&node).await;
    eventually("the repair", SOON, async || node.client.pending_invalidations() == 0).await;
    for reader in [&peer, &node] {
        assert_eq!(reader.under(patient().wait(Duration::from_millis(50))).read(1, &row).await.version(), Some(2));
    }
}

/// Redis carries out commands after the client has given up waiting for them, as when its disk stalls.
#[tokio::test]
async fn lease_without_a_load_is_released() {
    let redis = redis().await;
    let (node, peer) = (impatient(&redis).await, Node::on(&redis).await);
    let row = Row::new([]);
    node.fill(3, &row).await;
    let (reading, loading) = node.loading(1, &row).await;
    redis.cli(&["CLIENT", "PAUSE", "600000", "WRITE"]).await.unwrap();
    loading.fail();
    assert!(reading.result().await.is_err());
    assert_eq!(node.read(2, &row).await.outcome(), Outcome::Bypass(Bypass::RedisDown));
    redis.cli(&["CLIENT", "UNPAUSE"]).await.unwrap();
    // The leases and the waits of the policy last longer than this test waits.
    for id in [1, 2] {
        peer.until_hit(id, &row).await;
    }
}

#[tokio::test]
async fn client_reconnects_after_a_killed_connection_and_loses_nothing() {
    let (redis, node, row) = filled_node([]).await;
    for _ in 0..5 {
        redis.cli(&["CLIENT", "KILL", "TYPE", "normal"]).await.unwrap();
        assert_eq!(node.read(1, &row).await.version(), Some(1));
        node.until_hit(1, &row).await;
    }
}

/// Longer than the client waits before it drops the connection and tries another one, which hangs as well.
#[tokio::test]
async fn client_recovers_after_a_long_freeze() {
    let redis = redis().await;
    let hurried = CacheSettings { command_timeout: TIMEOUT / 4, ..settings(redis.url()) };
    let (node, row) = (Node::with(&hurried, patient()).await, Row::new([]));
    node.until_hit(1, &row).await;
    redis.pause();
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(node.read(1, &row).await.outcome(), Outcome::Bypass(Bypass::RedisDown));
    redis.resume();
    until_up(&node).await;
    node.until_hit(1, &row).await;
}

/// The connection sends neither a reset nor an end of file; it only stops answering. A new connection would be
/// answered.
#[tokio::test]
async fn client_replaces_a_silently_dead_connection() {
    let redis = redis().await;
    let proxy = Proxy::to(redis.port()).await.unwrap();
    // The client reconnects after a fixed time, however long the timeout makes each probe.
    let (node, row) = (Node::with(&settings(through(&proxy)), patient()).await, Row::new([]));
    node.until_hit(1, &row).await;
    proxy.drop_packets();
    assert_eq!(node.read(1, &row).await.outcome(), Outcome::Bypass(Bypass::RedisDown));
    node.until_hit(1, &row).await;
}

/// A server that keeps snapshots, against the recommendation: it loses acknowledged invalidations.
#[tokio::test]
async fn entries_of_a_redis_restarted_with_older_data_are_not_served() {
    let (redis, node, peer, row) = two_nodes([shelf(1)]).await;
    node.fill(1, &row).await;
    // A load in flight whose lease is in the snapshot as well.
    let (mut gate, gated) = row.gated();
    let reading = peer.start(2, &gated);
    let load = gate.began().await;
    redis.cli(&["SAVE"]).await.unwrap();
    row.commit();
    node.remove(1).await;
    node.remove_tag(shelf(1)).await;
    redis.kill().await.unwrap();
    redis.restart().await.unwrap();
    assert!(snapshot_was_loaded(&redis).await);
    until_up(&node).await;
    until_up(&peer).await;
    load.finish();
    reading.value().await;
    for reader in [&node, &peer] {
        for id in [1, 2] {
            assert_eq!(reader.read(id, &row).await.version(), Some(2), "product {id}");
        }
    }
    eventually("both to be in use again", SOON, async || {
        peer.read(1, &row).await.outcome() == Outcome::Hit && node.read(2, &row).await.outcome() == Outcome::Hit
    })
    .await;
    assert_eq!((node.cached(1).await, node.cached(2).await), (Some(2), Some(2)));
}

/// Commands on a broken connection wait for the next one. The server that answers them may be another one, and it is
/// not known yet which invalidations it has lost.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn queued_reads_do_not_trust_an_unverified_server() {
    let redis = redis().await;
    // The breaker opens late, and there is time for a reconnect: otherwise such reads would not be sent.
    let patient_settings =
        CacheSettings { command_timeout: SOON, breaker_threshold: u32::MAX, ..settings(redis.url()) };
    let (node, row) = (Node::with(&patient_settings, patient()).await, Row::new([]));
    node.fill(1, &row).await;
    redis.cli(&["SAVE"]).await.unwrap();
    row.commit();
    node.remove(1).await;
    let (begun, over) = (AtomicU32::new(0), AtomicBool::new(false));
    let reader = async || {
        while !over.load(Relaxed) {
            begun.fetch_add(1, Relaxed);
            assert_eq!(node.cached(1).await.filter(|version| *version != 2), None, "it was removed");
            yield_now().await;
        }
    };
    let restarts = async {
        for _ in 0..5 {
            redis.kill().await.unwrap();
            redis.restart().await.unwrap();
            assert!(snapshot_was_loaded(&redis).await);
            until_up(&node).await;
        }
        over.store(true, Relaxed);
    };
    tokio::join!(restarts, reader(), reader(), reader(), reader());
    assert!(begun.load(Relaxed) > 100, "there were hardly any reads");
}
