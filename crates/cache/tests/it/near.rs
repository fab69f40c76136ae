//! The near cache: hits from the memory of the process, and what an acknowledged invalidation promises for them.

use std::time::Duration;

use cache::outcome::{Fill, FillRefusal};
use cache::{CacheSettings, Invalidated, Invalidation, Near, Outcome};
use testkit::{Redis, eventually};
use tokio::time::sleep;

use crate::support::{LONG, Node, Proxy, PushFilter, Row, SOON, patient, redis, settings, shelf, through};

pub(crate) const BOUND: Duration = Duration::from_millis(100);
/// Rounds of a race: enough that a build without one of the defences loses some of them.
const ROUNDS: u32 = 100;

pub(crate) fn near_settings(url: String) -> CacheSettings {
    CacheSettings { near_bound: Some(BOUND), ..settings(url) }
}

pub(crate) async fn near_node(url: String, near: Near) -> Node {
    Node::with(&near_settings(url), patient().near(near)).await
}

pub(crate) async fn strict(redis: &Redis) -> Node {
    near_node(redis.url(), Near::Strict(BOUND)).await
}

/// Reads entry `id` until it comes from the memory of `node`.
pub(crate) async fn until_near(node: &Node, id: u32, row: &Row) {
    eventually("a hit from memory", SOON, async || node.read(id, row).await.outcome() == Outcome::NearHit).await;
}

#[tokio::test]
async fn no_process_returns_the_old_value_after_an_acknowledgement() {
    let redis = redis().await;
    let (writer, peer, row) = (strict(&redis).await, strict(&redis).await, Row::new([shelf(1)]));
    for round in 0..ROUNDS {
        until_near(&peer, 1, &row).await;
        until_near(&writer, 1, &row).await;
        let version = row.commit();
        match round % 4 {
            0 => assert_eq!(writer.remove(1).await, 1),
            1 => assert_eq!(writer.remove_tag(shelf(1)).await, 1),
            2 => {
                let older = Invalidation::hard().key_older_than(writer.key(1), version);
                assert_eq!(writer.invalidate(older).await, 1);
            }
            _ => assert!(matches!(writer.client.purge().await, Invalidated::Done { .. })),
        }
        // The one that is read first has no time to catch up.
        for node in if round % 8 < 4 { [&writer, &peer] } else { [&peer, &writer] } {
            assert_eq!(node.read(1, &row).await.version(), Some(version), "round {round}");
        }
    }
}

#[tokio::test]
async fn written_value_replaces_the_one_in_memory_everywhere() {
    let redis = redis().await;
    let (writer, peer, row) = (strict(&redis).await, strict(&redis).await, Row::new([]));
    for round in 0..ROUNDS / 2 {
        until_near(&peer, 1, &row).await;
        until_near(&writer, 1, &row).await;
        let lease = writer.cache.begin_write(1).await;
        let version = row.commit();
        let written = cache::NewEntry::raw(format!("v{version}")).version(version);
        assert_eq!(lease.publish(written).await, cache::write_through::Published::Stored);
        for node in if round % 2 == 0 { [&writer, &peer] } else { [&peer, &writer] } {
            assert_eq!(node.read(1, &row).await.version(), Some(version), "round {round}");
        }
    }
}

/// The invalidating process has no near cache; it only knows that others have.
#[tokio::test]
async fn process_without_a_near_cache_waits_for_those_that_have_one() {
    let redis = redis().await;
    let (writer, peer, row) = (near_node(redis.url(), Near::Off).await, strict(&redis).await, Row::new([]));
    for round in 0..ROUNDS {
        until_near(&peer, 1, &row).await;
        let version = row.commit();
        writer.remove(1).await;
        assert_eq!(peer.read(1, &row).await.version(), Some(version), "round {round}");
    }
}

/// No value is stored under the guard, so none comes into the memory of a process.
#[tokio::test]
async fn guarded_entry_is_in_no_memory_before_commit() {
    let redis = redis().await;
    let (writer, peer, row) = (strict(&redis).await, strict(&redis).await, Row::new([shelf(1)]));
    for round in 0..ROUNDS / 4 {
        until_near(&peer, 1, &row).await;
        until_near(&writer, 1, &row).await;
        let names = Invalidation::hard();
        let names = if round % 2 == 0 { names.key(writer.key(1)) } else { names.tag(shelf(1)) };
        let guard = writer.client.guard(names, LONG).await;
        for node in [&peer, &writer] {
            assert_eq!(node.read(1, &row).await.outcome(), Outcome::Miss(Fill::Refused(FillRefusal::Guarded)));
        }
        let version = row.commit();
        for node in [&peer, &writer] {
            assert_eq!(node.read(1, &row).await.version(), Some(version), "round {round}");
        }
        assert!(guard.release().await.guarded);
    }
}

#[tokio::test]
async fn softly_invalidated_entry_is_not_fresh_in_memory_either() {
    let redis = redis().await;
    let (writer, peer, row) = (strict(&redis).await, strict(&redis).await, Row::new([]));
    until_near(&peer, 1, &row).await;
    writer.expire(1).await;
    assert_eq!(peer.read(1, &row).await.outcome(), Outcome::Stale);
}

/// Redis' pushes and replies do not reach a peer any more, and it does not notice. It recovers after each round.
async fn stalled_peer_returns_nothing_old(bound: Duration) {
    let redis = redis().await;
    let proxy = Proxy::to(redis.port()).await.unwrap();
    let slow = CacheSettings { near_bound: Some(bound), command_timeout: BOUND, ..settings(through(&proxy)) };
    let peer = Node::with(&slow, patient().near(Near::Strict(bound))).await;
    let (writer, row) = (strict(&redis).await, Row::new([]));
    for _ in 0..4 {
        until_near(&peer, 1, &row).await;
        proxy.delay_replies();
        let version = row.commit();
        writer.remove(1).await;
        assert_eq!(peer.read(1, &row).await.version(), Some(version));
        proxy.release_replies();
    }
}

#[tokio::test]
async fn stalled_process_delays_a_write_and_returns_nothing_old() {
    stalled_peer_returns_nothing_old(BOUND).await;
}

/// As while a new value of `near_bound` is deployed: the writer has the shorter one.
#[tokio::test]
async fn stalled_process_with_a_longer_bound_is_waited_for_as_long() {
    stalled_peer_returns_nothing_old(5 * BOUND).await;
}

/// Redis loses the register of holders, and a process that held entries does not notice it.
#[tokio::test]
async fn register_that_was_lost_is_not_believed_at_once() {
    // Long enough for all that happens until the peer reads, so that it still has a lease then.
    let bound = 20 * BOUND;
    let redis = redis().await;
    let proxy = Proxy::to(redis.port()).await.unwrap();
    let near = |url| CacheSettings { near_bound: Some(bound), ..settings(url) };
    let (slow, policy) =
        (CacheSettings { command_timeout: BOUND, ..near(through(&proxy)) }, patient().near(Near::Strict(bound)));
    let (peer, writer) = (Node::with(&slow, policy.clone()).await, Node::with(&near(redis.url()), policy).await);
    let row = Row::new([]);
    until_near(&peer, 1, &row).await;
    proxy.delay_replies();
    redis.cli(&["FLUSHALL"]).await.unwrap();
    let version = row.commit();
    writer.remove(1).await;
    assert_eq!(peer.read(1, &row).await.version(), Some(version));
}

#[tokio::test]
async fn bounded_memory_is_old_for_no_longer_than_its_bound() {
    let redis = redis().await;
    let proxy = Proxy::to(redis.port()).await.unwrap();
    let slow = CacheSettings { command_timeout: BOUND, ..near_settings(through(&proxy)) };
    let peer = Node::with(&slow, patient().near(Near::Bounded(BOUND))).await;
    let (writer, row) = (near_node(redis.url(), Near::Off).await, Row::new([]));
    for _ in 0..3 {
        until_near(&peer, 1, &row).await;
        proxy.delay_replies();
        let version = row.commit();
        writer.remove(1).await;
        sleep(BOUND).await;
        assert_eq!(peer.read(1, &row).await.version(), Some(version));
        proxy.release_replies();
    }
}

/// Redis does not track the connections any more, or its pushes are lost, while replies and messages still arrive. No process
/// may report what has not been applied, and the writer must drop its own copy.
#[tokio::test]
async fn process_that_gets_no_pushes_returns_nothing_old() {
    let redis = redis().await;
    let filter = PushFilter::to(&redis).await;
    let behind = async || near_node(filter.url(), Near::Strict(BOUND)).await;
    let (writer, peer, row) = (behind().await, behind().await, Row::new([shelf(1)]));
    for (by, flushes) in ["key", "tag", "write-through", "purge"].into_iter().flat_map(|by| [(by, false), (by, true)]) {
        until_near(&peer, 1, &row).await;
        until_near(&writer, 1, &row).await;
        filter.drop_pushes();
        if flushes {
            redis.cli(&["FLUSHALL"]).await.unwrap();
        }
        let lease = (by == "write-through").then_some(writer.cache.begin_write(1));
        let lease = match lease {
            Some(lease) => Some(lease.await),
            None => None,
        };
        let version = row.commit();
        match (by, lease) {
            (_, Some(lease)) => {
                let written = cache::NewEntry::raw(format!("v{version}")).version(version);
                let _ = lease.publish(written).await;
            }
            ("key", _) => drop(writer.remove(1).await),
            ("tag", _) => drop(writer.remove_tag(shelf(1)).await),
            _ => drop(writer.client.purge().await),
        }
        for node in [&writer, &peer] {
            assert_eq!(node.read(1, &row).await.version(), Some(version), "{by}, after FLUSHALL: {flushes}");
        }
        filter.pass_pushes();
    }
}

/// It is the only holder, so it waits for no process, and need not wait for its own push.
#[tokio::test]
async fn process_drops_its_own_copy_by_itself() {
    let redis = redis().await;
    let filter = PushFilter::to(&redis).await;
    let (node, row) = (near_node(filter.url(), Near::Strict(BOUND)).await, Row::new([]));
    for _ in 0..5 {
        until_near(&node, 1, &row).await;
        filter.drop_pushes();
        let version = row.commit();
        node.remove(1).await;
        assert_eq!(node.read(1, &row).await.version(), Some(version));
        filter.pass_pushes();
    }
}

#[tokio::test]
async fn entries_from_before_a_broken_connection_are_not_used_again() {
    let redis = redis().await;
    let proxy = Proxy::to(redis.port()).await.unwrap();
    let (peer, writer) = (near_node(through(&proxy), Near::Strict(BOUND)).await, strict(&redis).await);
    let row = Row::new([]);
    for _ in 0..3 {
        until_near(&peer, 1, &row).await;
        proxy.cut();
        let version = row.commit();
        writer.remove(1).await;
        proxy.restore();
        // The memory is in use again.
        until_near(&peer, 2, &row).await;
        assert_eq!(peer.read(1, &row).await.version(), Some(version));
    }
}

/// The holders are listed in the round trip of the first commands, which may not remove everything.
#[tokio::test]
async fn removal_in_several_round_trips_is_final_in_memory_too() {
    let redis = redis().await;
    let (writer, peer, row) = (strict(&redis).await, strict(&redis).await, Row::new([shelf(1)]));
    for knows_scripts in [true, false] {
        // The first round reads the others again.
        let first = if knows_scripts { 1 } else { 50 };
        peer.fill_many(first..1_100, &row).await;
        for id in 1..50 {
            until_near(&peer, id, &row).await;
        }
        if !knows_scripts {
            redis.cli(&["SCRIPT", "FLUSH"]).await.unwrap();
        }
        let version = row.commit();
        assert_eq!(writer.remove_tag(shelf(1)).await, 1_099, "the server knows the scripts: {knows_scripts}");
        for id in 1..50 {
            assert_eq!(
                peer.read(id, &row).await.version(),
                Some(version),
                "the server knows the scripts: {knows_scripts}"
            );
        }
    }
}

/// After FLUSHALL, Redis tracks nothing, and its register names no process.
#[tokio::test]
async fn invalidation_after_flushall_waits_for_every_lease_from_before() {
    let redis = redis().await;
    let (writer, peer, row) = (strict(&redis).await, strict(&redis).await, Row::new([]));
    for round in 0..10 {
        until_near(&peer, 1, &row).await;
        redis.cli(&["FLUSHALL"]).await.unwrap();
        let version = row.commit();
        writer.remove(1).await;
        assert_eq!(peer.read(1, &row).await.version(), Some(version), "round {round}");
    }
    until_near(&peer, 1, &row).await;
}

#[tokio::test]
async fn memory_is_used_again_after_a_restart_and_after_a_broken_connection() {
    let redis = redis().await;
    let (writer, peer, row) = (strict(&redis).await, strict(&redis).await, Row::new([]));
    for fault in ["kill", "restart"] {
        until_near(&peer, 1, &row).await;
        match fault {
            "kill" => drop(redis.cli(&["CLIENT", "KILL", "TYPE", "normal"]).await),
            _ => redis.restart().await.unwrap(),
        }
        let version = row.commit();
        // While Redis is away, the invalidation is deferred.
        let _ = writer.client.invalidate(Invalidation::hard().key(writer.key(1))).await;
        eventually("the repair", SOON, async || writer.client.pending_invalidations() == 0).await;
        assert_eq!(peer.read(1, &row).await.version(), Some(version), "{fault}");
        until_near(&peer, 1, &row).await;
    }
}

#[tokio::test]
async fn deferred_invalidation_hides_the_entry_in_memory() {
    let redis = redis().await;
    let (node, row) = (strict(&redis).await, Row::new([shelf(1)]));
    until_near(&node, 1, &row).await;
    redis.cli(&["ACL", "SETUSER", "default", "-hincrby"]).await.unwrap();
    let version = row.commit();
    assert_eq!(node.client.invalidate_tag(shelf(1)).await, Invalidated::Deferred);
    assert_eq!(node.read(1, &row).await.version(), Some(version));
}

/// The memory of Redis, not that of the process.
#[tokio::test]
async fn invalidation_with_full_memory_is_acknowledged() {
    let redis = redis().await;
    let (writer, peer, row) = (strict(&redis).await, strict(&redis).await, Row::new([]));
    until_near(&peer, 1, &row).await;
    redis.cli(&["CONFIG", "SET", "maxmemory-policy", "noeviction", "maxmemory", "1"]).await.unwrap();
    let version = row.commit();
    assert_eq!(writer.remove(1).await, 1);
    assert_eq!(peer.read(1, &row).await.version(), Some(version));
}
