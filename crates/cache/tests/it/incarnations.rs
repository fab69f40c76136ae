//! The trusted incarnation: the source of truth says which Redis may be used, so a failover that loses an acknowledged
//! invalidation makes no read stale (ADR 37).

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use cache::health::{Health, Reason};
use cache::outcome::Bypass;
use cache::{CacheClient, CacheSettings, Invalidated, Keyspace, Near, Outcome, Policy};
use testkit::{Redis, Transport, eventually};

use crate::support::{LONG, Node, Row, SOON, TestRecord, patient, redis, settings};

/// Longer than the lease on a server.
const BOUND: Duration = Duration::from_secs(5);

impl Node {
    async fn trusting(redis: &Redis, record: &Arc<TestRecord>) -> Self {
        Self::trusting_with(&settings(redis.url()), record, patient()).await
    }

    async fn trusting_with(settings: &CacheSettings, record: &Arc<TestRecord>, policy: Policy) -> Self {
        let (keyspace, record) = (Keyspace::new("shop").unwrap(), Arc::clone(record));
        Self::new(CacheClient::connect_trusting(keyspace, settings, record).await.unwrap(), policy)
    }

    fn is_untrusted(&self) -> bool {
        matches!(self.client.health(), Health::Down(Reason::Incarnation(_)))
    }
}

impl TestRecord {
    /// From now on, the record can be neither read nor replaced, or it can again.
    fn lose(&self, is_lost: bool) {
        self.is_lost.store(is_lost, SeqCst);
    }

    fn text(&self) -> Option<String> {
        self.text.lock().unwrap().clone()
    }
}

async fn until_used(node: &Node) {
    let is_usable = async || node.client.health().is_in_use() && node.client.pending_invalidations() == 0;
    eventually("the node uses Redis, and nothing is deferred", SOON, is_usable).await;
}

/// Returns a primary with an entry, and a server that was its replica and has this entry as well.
async fn primary_and_promoted_replica(node_of: impl AsyncFn(&Redis) -> Node, row: &Row) -> (Redis, Redis, Node) {
    // A sentinel would make the promoted server a replica again.
    let start = async || Redis::start_over(Transport::of_this_run().direct()).await.unwrap();
    let (primary, replica) = (start().await, start().await);
    primary.cli(&["CONFIG", "SET", "repl-diskless-sync-delay", "0"]).await.unwrap();
    // Replication is over TCP, also where the clients use another transport.
    replica.cli(&["REPLICAOF", "127.0.0.1", &primary.plain_port().to_string()]).await.unwrap();
    let is_linked = async || replica.cli(&["INFO", "replication"]).await.unwrap().contains("master_link_status:up");
    eventually("the replica follows the primary", LONG, is_linked).await;
    let node = node_of(&primary).await;
    until_used(&node).await;
    node.fill(1, row).await;
    let key = node.key(1).to_string();
    let has_entry = async || replica.cli(&["EXISTS", &key]).await.unwrap() == "1";
    eventually("the replica has the entry", LONG, has_entry).await;
    replica.cli(&["REPLICAOF", "NO", "ONE"]).await.unwrap();
    (primary, replica, node)
}

/// Returns the ids of the connections that a probe has just used.
async fn probing(redis: &Redis) -> BTreeSet<String> {
    let connections = redis.cli(&["CLIENT", "LIST"]).await.unwrap();
    let of_probes = connections
        .lines()
        .filter(|line| ["cmd=time ", "cmd=info ", "cmd=eval ", "cmd=getrange "].iter().any(|cmd| line.contains(cmd)));
    of_probes.filter_map(|line| line.split(' ').next().map(str::to_owned)).collect()
}

/// The old primary is cut off: it knows nothing of the failover, and still answers the process that reaches it.
#[tokio::test]
async fn process_on_a_primary_that_was_replaced_returns_no_removed_entry() {
    let (record, row) = (TestRecord::new(), Row::new([]));
    let connect = async |redis: &Redis| Node::trusting(redis, &record).await;
    let (old, promoted, cut_off) = primary_and_promoted_replica(connect, &row).await;

    let node = Node::trusting(&promoted, &record).await;
    let version = row.commit();
    assert_eq!(node.cache.invalidate(1).await, Invalidated::Deferred, "the other process may still use its server");
    until_used(&node).await;
    for reader in [&cut_off, &node] {
        assert_eq!(reader.read(1, &row).await.version(), Some(version), "after the deferred invalidation");
    }
    let version = row.commit();
    assert!(node.cache.invalidate(1).await.acknowledged().is_ok());
    for reader in [&cut_off, &node] {
        assert_eq!(reader.read(1, &row).await.version(), Some(version));
    }
    eventually("the old primary is not used", SOON, async || cut_off.is_untrusted()).await;
    // Its address may lead to the new primary by now.
    let before = probing(&old).await;
    let has_reconnected = async || {
        let now = probing(&old).await;
        !now.is_empty() && now.is_disjoint(&before)
    };
    eventually("the process connects again", SOON, has_reconnected).await;
    assert_eq!(cut_off.read(1, &row).await.outcome(), Outcome::Bypass(Bypass::RedisDown));
    until_used(&node).await;
    node.until_hit(1, &row).await;
}

/// What the record is for: without it, the same steps do make a read stale.
#[tokio::test]
async fn without_a_record_a_primary_that_was_replaced_is_still_used() {
    let row = Row::new([]);
    let (_primary, promoted, cut_off) = primary_and_promoted_replica(Node::on, &row).await;
    let node = Node::on(&promoted).await;
    until_used(&node).await;
    let version = row.commit();
    assert!(node.cache.invalidate(1).await.acknowledged().is_ok());
    assert_eq!(node.read(1, &row).await.version(), Some(version));
    assert_eq!(cut_off.read(1, &row).await.version(), Some(version - 1));
}

/// No process that knew the earlier server is left.
#[tokio::test]
async fn process_that_starts_after_a_restart_with_older_data_returns_no_removed_entry() {
    let (redis, record, row) = (redis().await, TestRecord::new(), Row::new([]));
    let first = Node::trusting(&redis, &record).await;
    until_used(&first).await;
    first.fill(1, &row).await;
    redis.cli(&["SAVE"]).await.unwrap();
    let version = row.commit();
    assert!(first.cache.invalidate(1).await.acknowledged().is_ok());
    first.client.shutdown(SOON).await;
    redis.kill().await.unwrap();
    redis.restart().await.unwrap();

    let key = first.key(1).to_string();
    let has_entry = async || redis.cli(&["EXISTS", &key]).await.is_ok_and(|count| count == "1");
    eventually("the snapshot is loaded", SOON, has_entry).await;
    let unaware = Node::on(&redis).await;
    until_used(&unaware).await;
    assert_eq!(unaware.read(1, &row).await.version(), Some(version - 1), "without the record it is stale");
    let next = Node::trusting(&redis, &record).await;
    let is_used = async || {
        assert_eq!(next.read(1, &row).await.version(), Some(version));
        next.client.health().is_in_use() && next.client.pending_invalidations() == 0
    };
    eventually("the next process uses Redis", SOON, is_used).await;
    next.until_hit(1, &row).await;
    assert_eq!(next.read(1, &row).await.version(), Some(version));
}

#[tokio::test]
async fn redis_is_not_used_while_the_record_cannot_be_read() {
    let (redis, record, row) = (redis().await, TestRecord::new(), Row::new([]));
    let settings = CacheSettings { near_bound: Some(BOUND), ..settings(redis.url()) };
    let (node, near) = (
        Node::trusting(&redis, &record).await,
        Node::trusting_with(&settings, &record, Policy::near(patient(), Near::Strict(BOUND))).await,
    );
    until_used(&node).await;
    until_used(&near).await;
    node.fill(1, &row).await;
    eventually("a hit from memory", SOON, async || near.read(1, &row).await.outcome() == Outcome::NearHit).await;

    record.lose(true);
    for node in [&node, &near] {
        eventually("Redis is not used any more", SOON, async || node.is_untrusted()).await;
        assert_eq!(node.read(1, &row).await.outcome(), Outcome::Bypass(Bypass::RedisDown));
    }
    record.lose(false);
    for node in [&node, &near] {
        until_used(node).await;
        assert!(
            matches!(node.read_from_cache(1, &row).await.outcome(), Outcome::Hit | Outcome::NearHit),
            "it is the same Redis, so nothing was purged"
        );
    }
}

/// The process that began the recovery does not complete it.
#[tokio::test]
async fn another_process_completes_a_recovery() {
    let (redis, record) = (redis().await, TestRecord::new());
    let first = Node::trusting(&redis, &record).await;
    eventually("the recovery has begun", SOON, async || record.text().is_some()).await;
    let begun = record.text();
    first.client.shutdown(SOON).await;
    assert_eq!(record.text(), begun, "it is not completed");
    let second = Node::trusting(&redis, &record).await;
    until_used(&second).await;
    eventually("the recovery is completed", SOON, async || record.text() != begun).await;
    let completed = record.text();
    // A further process needs no recovery.
    until_used(&Node::trusting(&redis, &record).await).await;
    assert_eq!(record.text(), completed);
}

#[tokio::test]
async fn server_that_hides_its_run_id_is_not_trusted() {
    let redis = redis().await;
    redis.cli(&["ACL", "SETUSER", "shop", "on", ">secret", "~*", "&*", "+@all", "-info"]).await.unwrap();
    let url = Transport::of_this_run().url(redis.port()).replace("://", "://shop:secret@");
    let node = Node::trusting_with(&settings(url), &TestRecord::new(), patient()).await;
    assert!(node.is_untrusted(), "{:?}", node.client.health());
}
