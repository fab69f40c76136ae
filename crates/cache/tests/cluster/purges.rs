//! Purges of a cluster whose slots begin or end a migration in the middle of the scan.

use std::time::Duration;

use cache::{Invalidated, Keyspace};
use testkit::{Redis, RedisCluster, eventually};

use crate::support::{LONG, Node, Row, settings, shelf};
use crate::topology::until_used;

/// Names of another program. A scan reads them, so it takes many commands.
const FOREIGN: &str = "100000";
/// How often a migration is tried: on a busy machine, it may begin too late.
const ATTEMPTS: u32 = 20;

/// The entries of one slot, and the servers that have it and will have it.
struct Fixture {
    cluster: RedisCluster,
    nodes: [Node; 2],
    rows: Vec<(u32, Row)>,
}

/// A prepared migration: a single command begins it, so that it comes in time.
struct Migration<'a> {
    source: &'a Redis,
    target: &'a Redis,
    slot: String,
    /// The id of the target.
    to: String,
}

/// Returns the ids whose entries are in the last partition: a purge scans it at its end.
fn ids(node: &Node) -> impl Iterator<Item = u32> {
    (0..).filter(|id| node.key(*id).to_string().starts_with("{shop:7}:"))
}

impl Fixture {
    async fn start() -> Self {
        let cluster = RedisCluster::start().await.unwrap();
        let node = async || Node::of(Keyspace::partitioned("shop", 8).unwrap(), &settings(cluster.url())).await;
        let nodes = [node().await, node().await];
        let rows = ids(&nodes[0]).take(40).map(|id| (id, Row::new([shelf(1)]))).collect();
        Self { cluster, nodes, rows }
    }

    fn key(&self) -> String {
        self.nodes[0].key(self.rows[0].0).to_string()
    }

    /// Returns the prefix of the slot's names.
    fn prefix(&self) -> String {
        self.key().split_once('}').map(|(prefix, _)| format!("{prefix}}}:")).unwrap()
    }

    /// Returns whether `SCAN` with a pattern for one slot reads only this slot, as on Valkey. On Redis, it reads all names.
    async fn scans_single_slots(&self) -> bool {
        self.cluster.nodes()[0].cli(&["INFO", "server"]).await.unwrap().contains("server_name:valkey")
    }

    /// Makes a scan of this server take long.
    async fn fill(&self, server: &Redis) {
        let mut tag = 0;
        let tag = loop {
            let name = format!("{{foreign-{tag}}}:");
            if self.cluster.primary_of(&name).await.unwrap().port() == server.port() {
                break name;
            }
            tag += 1;
        };
        let script = "for i = 1, ARGV[1] do redis.call('SET', KEYS[1] .. i, 'x') end";
        server.cli(&["EVAL", script, "1", &tag, FOREIGN]).await.unwrap();
    }

    /// Waits until the purge has dropped the fence table of the slot: then it scans the slot's server.
    async fn until_scanned(&self, server: &Redis) {
        let fence = format!("{}~fence", self.prefix());
        while server.cli(&["EXISTS", &fence]).await.unwrap() != "0" {}
    }

    /// Lets the target accept the slot, which it does not have yet. Returns the slot and the id of the target.
    async fn prepare(&self, source: &Redis, target: &Redis) -> (String, String) {
        let slot = source.cli(&["CLUSTER", "KEYSLOT", &self.key()]).await.unwrap();
        let [from, to] = [source, target].map(async |node| node.cli(&["CLUSTER", "MYID"]).await.unwrap());
        let (from, to) = (from.await, to.await);
        target.cli(&["CLUSTER", "SETSLOT", &slot, "IMPORTING", &from]).await.unwrap();
        (slot, to)
    }

    /// Begins to migrate the slot, and moves its entries.
    async fn move_entries(&self, Migration { source, target, slot, to }: &Migration<'_>) {
        source.cli(&["CLUSTER", "SETSLOT", slot, "MIGRATING", to]).await.unwrap();
        let keys: Vec<String> = self.rows.iter().map(|(id, _)| self.nodes[0].key(*id).to_string()).collect();
        let port = target.port().to_string();
        let mut command = vec!["MIGRATE", "127.0.0.1", &port, "", "0", "5000", "KEYS"];
        command.extend(keys.iter().map(String::as_str));
        source.cli(&command).await.unwrap();
    }
}

/// Purges the keyspace again and again while `meanwhile` migrates the slot. Asserts that no acknowledged purge has left an entry.
async fn assert_purges_are_complete(meanwhile: impl AsyncFn(&Fixture, &Migration<'_>)) {
    let fixture = Fixture::start().await;
    if fixture.scans_single_slots().await {
        println!("skipped: no migration begins and ends during the scan of a single slot");
        return;
    }
    let [node, peer] = &fixture.nodes;
    for server in &fixture.cluster.nodes()[..2] {
        fixture.fill(server).await;
    }
    let (mut deferred, mut attempts) = (0, 0);
    while deferred < 2 && attempts < ATTEMPTS {
        attempts += 1;
        let _ = node.client.purge().await;
        let source = fixture.cluster.primary_of(&fixture.key()).await.unwrap();
        if fixture.cluster.nodes()[..2].iter().all(|server| server.port() != source.port()) {
            fixture.cluster.migrate_to(&fixture.cluster.nodes()[0], &fixture.key(), async || {}).await.unwrap();
            continue;
        }
        let target = fixture.cluster.nodes()[..2].iter().find(|server| server.port() != source.port()).unwrap();
        until_used(node).await;
        until_used(peer).await;
        for (id, row) in &fixture.rows {
            node.fill(*id, row).await;
            row.commit();
        }
        let (slot, to) = fixture.prepare(source, target).await;
        let migration = Migration { source, target, slot, to };
        let migrating = async {
            fixture.until_scanned(source).await;
            meanwhile(&fixture, &migration).await;
        };
        let (done, ()) = tokio::join!(node.client.purge(), migrating);
        if fixture.cluster.primary_of(&fixture.key()).await.unwrap().port() == source.port() {
            fixture.cluster.migrate_to(target, &fixture.key(), async || {}).await.unwrap();
        }
        if done == Invalidated::Deferred {
            deferred += 1;
            continue;
        }
        // The peer knows nothing of a deferred purge, so it uses what it finds.
        for (id, row) in &fixture.rows {
            let read = peer.read(*id, row).await;
            assert_eq!(read.version(), Some(row.version()), "entry {id} has outlived the purge: {:?}", read.outcome());
        }
    }
    assert!(deferred > 0, "in {attempts} attempts, no migration began during a purge");
    eventually("the retries", LONG, async || node.client.pending_invalidations() == 0).await;
}

/// Another process stores a fence for a load of its own, before the slot begins to migrate.
#[tokio::test]
async fn purge_is_not_acknowledged_if_the_slot_begins_to_migrate_during_its_scan() {
    assert_purges_are_complete(async |fixture, migration| {
        let missing = ids(&fixture.nodes[1]).nth(40).unwrap();
        fixture.nodes[1].read(missing, &Row::new([])).await;
        fixture.move_entries(migration).await;
    })
    .await;
}

/// Another command learns where the slot is now, so the client knows it before the scan goes on.
#[tokio::test]
async fn purge_does_not_continue_its_scan_on_another_server() {
    assert_purges_are_complete(async |fixture, migration| {
        fixture.move_entries(migration).await;
        let Migration { source, target, slot, to } = migration;
        let rest = source.cli(&["CLUSTER", "GETKEYSINSLOT", slot, "1000"]).await.unwrap();
        let port = target.port().to_string();
        let mut command = vec!["MIGRATE", "127.0.0.1", &port, "", "0", "5000", "KEYS"];
        command.extend(rest.lines().filter(|name| !name.is_empty()));
        if command.len() > 7 {
            source.cli(&command).await.unwrap();
        }
        for node in [target, source] {
            node.cli(&["CLUSTER", "SETSLOT", slot, "NODE", to]).await.unwrap();
        }
        let (id, row) = &fixture.rows[0];
        fixture.nodes[0].read(*id, row).await;
    })
    .await;
}

/// A slot may stay open for hours, as after a migration that was interrupted.
#[tokio::test]
async fn deferred_purge_empties_each_partition_once() {
    let fixture = Fixture::start().await;
    let [node, peer] = &fixture.nodes;
    let source = fixture.cluster.primary_of(&fixture.key()).await.unwrap();
    let target = fixture.cluster.nodes()[..3].iter().find(|server| server.port() != source.port()).unwrap();
    let slot = source.cli(&["CLUSTER", "KEYSLOT", &fixture.key()]).await.unwrap();
    let id_of = async |server: &Redis| server.cli(&["CLUSTER", "MYID"]).await.unwrap();
    source.cli(&["CLUSTER", "SETSLOT", &slot, "MIGRATING", &id_of(target).await]).await.unwrap();

    assert_eq!(node.client.purge().await, Invalidated::Deferred);
    let elsewhere = (0..).find(|id| !node.key(*id).to_string().starts_with("{shop:7}:")).unwrap();
    let row = Row::new([]);
    let stays = async || {
        peer.read(elsewhere, &row).await;
        // The time of several retries.
        tokio::time::sleep(Duration::from_millis(400)).await;
        peer.cached(elsewhere).await.is_some()
    };
    eventually("an entry of another partition that stays", LONG, stays).await;
    assert_eq!(node.client.pending_invalidations(), 1);
    source.cli(&["CLUSTER", "SETSLOT", &slot, "STABLE"]).await.unwrap();
    until_used(node).await;
}
