//! An invalidation that Redis did not carry out: this process distrusts the entries until a retry succeeds.
//!
//! Redis is up and refuses one command, so the test decides how long the invalidation stays pending.

use std::time::Duration;

use cache::health::Health;
use cache::outcome::{Bypass, Fill};
use cache::{CacheSettings, Invalidated, Invalidation, Outcome};
use testkit::{Redis, eventually};
use tokio::time::sleep;

use crate::support::{
    LONG, Node, Proxy, Row, SOON, calls, filled_node, node, one_node, patient, redis, settings, shelf, through,
};

async fn forbid(redis: &Redis, command: &str) {
    redis.cli(&["ACL", "SETUSER", "default", &format!("-{command}")]).await.unwrap();
}

async fn allow(redis: &Redis, node: &Node, command: &str) {
    redis.cli(&["ACL", "SETUSER", "default", &format!("+{command}")]).await.unwrap();
    eventually("the repair", SOON, async || node.client.pending_invalidations() == 0).await;
}

async fn defer(node: &Node, invalidation: Invalidation) {
    assert_eq!(node.client.invalidate(invalidation).await, Invalidated::Deferred);
}

#[tokio::test]
async fn entry_with_a_pending_invalidation_is_not_served() {
    let (redis, node, row) = one_node([shelf(1)]).await;
    let other = Row::new([shelf(2)]);
    for by_tag in [false, true] {
        node.fill(1, &row).await;
        node.read(2, &other).await;
        let command = if by_tag { "hincrby" } else { "unlink" };
        forbid(&redis, command).await;
        let version = row.commit();
        defer(
            &node,
            match by_tag {
                true => Invalidation::hard().tag(shelf(1)),
                false => Invalidation::hard().key(node.key(1)),
            },
        )
        .await;
        for _ in 0..20 {
            let cached = node.read(1, &row).await;
            assert_eq!(cached.version(), Some(version));
            assert_eq!(cached.outcome(), Outcome::Bypass(Bypass::InvalidationPending));
        }
        assert!(node.cache.get(1).await.is_none());
        assert_eq!(node.read(2, &other).await.outcome(), Outcome::Hit, "nothing is wrong with that one");
        allow(&redis, &node, command).await;
        let cached = node.read(1, &row).await;
        assert_eq!((cached.version(), cached.outcome()), (Some(version), Outcome::Miss(Fill::Stored)));
        node.remove(1).await;
    }
}

/// A load from before the change is in flight, and its commit will succeed, because Redis knows of no invalidation.
#[tokio::test]
async fn reader_after_a_deferred_invalidation_skips_an_older_load() {
    for by_tag in [false, true] {
        let (redis, node, row) = one_node([shelf(1)]).await;
        let (early, old) = node.loading(1, &row).await;
        let command = if by_tag { "hincrby" } else { "unlink" };
        forbid(&redis, command).await;
        row.commit();
        defer(
            &node,
            match by_tag {
                true => Invalidation::hard().tag(shelf(1)),
                false => Invalidation::hard().key(node.key(1)),
            },
        )
        .await;
        let late = node.start(1, &row.loader());
        node.settle().await;
        old.finish();
        early.value().await;
        assert_eq!(late.value().await.version(), Some(2), "by tag: {by_tag}");
        allow(&redis, &node, command).await;
        assert_eq!(node.read(1, &row).await.version(), Some(2));
    }
}

#[tokio::test]
async fn no_entry_is_served_while_a_purge_is_pending() {
    let (redis, node, row) = filled_node([]).await;
    forbid(&redis, "scan").await;
    row.commit();
    assert_eq!(node.client.purge().await, Invalidated::Deferred);
    let cached = node.read(1, &row).await;
    assert_eq!((cached.version(), cached.outcome()), (Some(2), Outcome::Bypass(Bypass::InvalidationPending)));
    allow(&redis, &node, "scan").await;
    assert_eq!(node.read(1, &row).await.outcome(), Outcome::Miss(Fill::Stored));
}

#[tokio::test]
async fn deferred_soft_invalidation_is_retried() {
    let (redis, node, row) = filled_node([shelf(1)]).await;
    forbid(&redis, "hincrby").await;
    row.commit();
    defer(&node, Invalidation::soft().tag(shelf(1))).await;
    assert_eq!(node.read(1, &row).await.version(), Some(2));
    allow(&redis, &node, "hincrby").await;
    assert_eq!(node.read(1, &row).await.version(), Some(2));
}

/// All of them are retried at once when Redis is back, and must not time out because of their number.
#[tokio::test]
async fn thousands_of_deferred_tags_are_invalidated_after_an_outage() {
    let redis = redis().await;
    // The default command timeout of a service.
    let service = CacheSettings { url: redis.url(), ..CacheSettings::default() };
    let partitioned = cache::Keyspace::partitioned("shop", 2).unwrap();
    let node = Node::of(partitioned, &service, patient()).await;
    redis.kill().await.unwrap();
    eventually("the breaker to open", SOON, async || !node.client.health().is_in_use()).await;
    for first in (0..4_000).step_by(100) {
        defer(&node, Invalidation::hard().tags((first..first + 100).map(shelf))).await;
    }
    assert_eq!(node.client.pending_invalidations(), 4_000);
    redis.restart().await.unwrap();
    eventually("the repairs", 2 * SOON, async || node.client.pending_invalidations() == 0).await;
    eventually("the cache to be in use", SOON, async || node.client.health() == Health::Up).await;
}

/// The time limit of a command also runs while it queues, so too many concurrent commands would time out.
#[tokio::test]
async fn invalidation_of_many_tags_sends_a_bounded_number_of_commands() {
    let (redis, node) = node().await;
    let proxy = Proxy::to(redis.port()).await.unwrap();
    let unhurried = CacheSettings { command_timeout: LONG, ..settings(through(&proxy)) };
    let behind = Node::with(&unhurried, patient()).await;
    node.fill(1, &Row::new([shelf(999)])).await;
    // From now on, Redis knows the script and need not be sent its text.
    node.remove_tag(shelf(1_000)).await;
    let before = calls(&redis, "evalsha").await;
    let under_way = async || calls(&redis, "evalsha").await - before;
    proxy.delay_replies();
    let removing = tokio::spawn({
        let behind = behind.clone();
        async move { behind.invalidate(Invalidation::hard().tags((0..1_000).map(shelf))).await }
    });
    eventually("the first steps", SOON, async || under_way().await >= 2).await;
    // Time for more of them, if their number is not bounded.
    sleep(Duration::from_millis(50)).await;
    let most = under_way().await;
    assert!(most <= 64, "{most} at once");
    proxy.release_replies();
    assert_eq!(removing.await.unwrap(), 1);
}

#[tokio::test]
async fn too_many_deferred_names_end_with_a_purged_keyspace() {
    let (redis, node, row) = filled_node([]).await;
    forbid(&redis, "unlink").await;
    for first in (0..40_000).step_by(2_000) {
        let mut invalidation = Invalidation::hard();
        for id in first..first + 2_000 {
            invalidation = invalidation.key(node.key(id + 1_000));
        }
        defer(&node, invalidation).await;
    }
    let pending = node.client.pending_invalidations();
    assert!(pending <= 10_001, "{pending} names are kept");
    assert_eq!(node.read(1, &row).await.outcome(), Outcome::Bypass(Bypass::InvalidationPending));
    allow(&redis, &node, "unlink").await;
    assert_eq!(node.read(1, &row).await.outcome(), Outcome::Miss(Fill::Stored));
}
