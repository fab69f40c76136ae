//! A cluster of three primaries, each with a replica.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use tokio::sync::OnceCell;
use tokio::time::sleep;

use super::{Redis, Transport};
use crate::ports::free_port;

/// The longest time for the nodes to find one another.
const START: Duration = Duration::from_secs(60);
/// The hash slots of a cluster.
const SLOTS: u16 = 16_384;
const PRIMARIES: usize = 3;

/// A running cluster: first its primaries, then a replica of each.
#[derive(Debug)]
pub struct RedisCluster {
    nodes: Vec<Redis>,
}

impl RedisCluster {
    /// Starts a cluster, and waits until every node knows all of it.
    pub async fn start() -> Result<Self> {
        Self::start_each(async |_| Ok(Vec::new())).await
    }

    /// Starts a cluster that is reached over TLS, with a client certificate.
    pub async fn start_over_tls() -> Result<Self> {
        let settings = [("tls-cluster", "yes"), ("tls-replication", "yes")];
        let settings = settings.map(|(name, value)| (name, value.to_owned()));
        Self::start_over(Transport::Tls, async |_| Ok(settings.to_vec())).await
    }

    /// Starts a cluster whose nodes have the settings that `more` returns, which can put files into a node's folder.
    pub(super) async fn start_each(more: impl AsyncFn(&Path) -> Result<Vec<(&'static str, String)>>) -> Result<Self> {
        Self::start_over(Transport::Tcp, more).await
    }

    async fn start_over(
        transport: Transport, more: impl AsyncFn(&Path) -> Result<Vec<(&'static str, String)>>,
    ) -> Result<Self> {
        let mut nodes = Vec::new();
        for _ in 0..2 * PRIMARIES {
            let supervisor = Redis::supervisor()?;
            let more = more(supervisor.directory()).await?;
            let bus = free_port().to_string();
            let mut settings = vec![
                ("cluster-enabled", "yes"),
                ("cluster-config-file", "nodes.conf"),
                ("cluster-node-timeout", "4000"),
                ("cluster-port", &bus),
                ("repl-diskless-sync-delay", "0"),
                // A test may disconnect a replica for any time before it is promoted.
                ("cluster-replica-validity-factor", "0"),
            ];
            settings.extend(more.iter().map(|(name, value)| (*name, value.as_str())));
            nodes.push(Redis::launch(supervisor, transport, &settings).await?);
        }
        let cluster = Self { nodes };
        cluster.join().await?;
        Ok(cluster)
    }

    /// Returns a cluster that the tests of this process share.
    ///
    /// # Panics
    /// Panics if it cannot be started; the message says why.
    pub async fn shared() -> &'static Self {
        static SHARED: OnceCell<RedisCluster> = OnceCell::const_new();
        match SHARED.get_or_try_init(Self::start).await {
            Ok(cluster) => cluster,
            Err(error) => panic!("no cluster for this test: {error:#}"),
        }
    }

    /// Returns the URL for clients. It names two of the nodes.
    pub fn url(&self) -> String {
        self.url_with("")
    }

    /// Returns the URL with credentials: `user:password@`.
    pub(super) fn url_with(&self, credentials: &str) -> String {
        let [first, second] = [0, 1].map(|node| self.nodes[node].port());
        let url = self.nodes[0].url();
        let (scheme, parameters) = match url.split_once('?') {
            Some((_, parameters)) => ("rediss-cluster", format!("&{parameters}")),
            None => ("redis-cluster", String::new()),
        };
        format!("{scheme}://{credentials}127.0.0.1:{first}?nodes=127.0.0.1:{second}{parameters}")
    }

    /// Returns the nodes: the first three began as primaries.
    pub fn nodes(&self) -> &[Redis] {
        &self.nodes
    }

    /// Returns the primary that has the slot of a key.
    pub async fn primary_of(&self, key: &str) -> Result<&Redis> {
        let slot: u16 = self.ask(&["CLUSTER", "KEYSLOT", key]).await?.parse()?;
        let map = self.ask(&["CLUSTER", "NODES"]).await?;
        let has_slot = |line: &&str| {
            line.contains("master")
                && line.split(' ').skip(8).any(|range| {
                    let (first, last) = range.split_once('-').unwrap_or((range, range));
                    let [first, last] = [first, last].map(|slot| slot.parse().unwrap_or(SLOTS));
                    (first..=last).contains(&slot)
                })
        };
        let line = map.lines().find(has_slot).context("no node has the slot")?;
        let port: u16 = line.split([':', '@']).nth(1).context("a node without a port")?.parse()?;
        self.nodes.iter().find(|node| node.plain_port() == port).context("the node belongs to another cluster")
    }

    /// Waits until another primary than `former` has the slot of a key.
    ///
    /// # Panics
    /// Panics if that takes longer than `at_most`. The message says what each node knows and has logged.
    pub async fn until_failed_over(&self, former: &Redis, key: &str, at_most: Duration) {
        let end = Instant::now() + at_most;
        while !self.primary_of(key).await.is_ok_and(|now| now.port() != former.port()) {
            if Instant::now() > end {
                let mut views = String::new();
                for node in self.nodes.iter().filter(|node| node.is_alive()) {
                    let map = node.cli(&["CLUSTER", "NODES"]).await;
                    views.push_str(&format!("{}: {map:?}\n{}\n", node.port(), node.last_output()));
                }
                panic!("{key} is still at {} after {at_most:?}\n{views}", former.port());
            }
            sleep(Duration::from_millis(50)).await;
        }
    }

    /// Moves the slot of a key to another primary while clients use it. Calls `meanwhile` before it moves each key of
    /// the slot.
    pub async fn migrate(&self, key: &str, meanwhile: impl AsyncFnMut()) -> Result<()> {
        let source = self.primary_of(key).await?;
        let is_other = |node: &&Redis| node.port() != source.port();
        let target = self.nodes[..PRIMARIES].iter().find(is_other).context("there is no other primary")?;
        self.migrate_to(target, key, meanwhile).await
    }

    /// Moves the slot of a key to `target`, as [`migrate`](Self::migrate) does. The slot must be on another primary.
    pub async fn migrate_to(&self, target: &Redis, key: &str, mut meanwhile: impl AsyncFnMut()) -> Result<()> {
        let slot = self.ask(&["CLUSTER", "KEYSLOT", key]).await?;
        let source = self.primary_of(key).await?;
        let [from, to] = [source.cli(&["CLUSTER", "MYID"]).await?, target.cli(&["CLUSTER", "MYID"]).await?];
        target.cli(&["CLUSTER", "SETSLOT", &slot, "IMPORTING", &from]).await?;
        source.cli(&["CLUSTER", "SETSLOT", &slot, "MIGRATING", &to]).await?;
        loop {
            meanwhile().await;
            let keys = source.cli(&["CLUSTER", "GETKEYSINSLOT", &slot, "1"]).await?;
            let Some(key) = keys.lines().next().filter(|key| !key.is_empty()) else { break };
            source.cli(&["MIGRATE", "127.0.0.1", &target.port().to_string(), key, "0", "5000"]).await?;
        }
        for node in [target, source] {
            node.cli(&["CLUSTER", "SETSLOT", &slot, "NODE", &to]).await?;
        }
        Ok(())
    }

    /// Asks the first node that answers.
    async fn ask(&self, command: &[&str]) -> Result<String> {
        let alive = self.nodes.iter().find(|node| node.is_alive()).context("no node is alive")?;
        alive.cli(command).await
    }

    async fn join(&self) -> Result<()> {
        // As `redis-cli --cluster create` does. Otherwise, the nodes choose other epochs after they have met, and a replica that
        // has not learned the epoch of its primary in time is never promoted.
        for (epoch, node) in (1_usize..).zip(&self.nodes) {
            node.cli(&["CLUSTER", "SET-CONFIG-EPOCH", &epoch.to_string()]).await?;
        }
        let (first, others) = self.nodes.split_first().context("the cluster has no nodes")?;
        let bus = async |node: &Redis| node.cli(&["CONFIG", "GET", "cluster-port"]).await;
        for node in others {
            let bus = bus(node).await?.lines().last().unwrap_or_default().to_owned();
            first.cli(&["CLUSTER", "MEET", "127.0.0.1", &node.port().to_string(), &bus]).await?;
        }
        let each = SLOTS / PRIMARIES as u16 + 1;
        for (number, node) in (0..).zip(&self.nodes[..PRIMARIES]) {
            let [from, to] = [number * each, (number + 1) * each - 1].map(|slot: u16| slot.min(SLOTS - 1).to_string());
            node.cli(&["CLUSTER", "ADDSLOTSRANGE", &from, &to]).await?;
        }
        self.until("a node knows all others", "cluster_known_nodes:6").await?;
        for (primary, replica) in self.nodes[..PRIMARIES].iter().zip(&self.nodes[PRIMARIES..]) {
            let id = primary.cli(&["CLUSTER", "MYID"]).await?;
            replica.cli(&["CLUSTER", "REPLICATE", &id]).await?;
        }
        self.until("the cluster is up", "cluster_state:ok").await?;
        for node in &self.nodes {
            // A node learns of the others gradually.
            let knows_all = async || {
                let map = node.cli(&["CLUSTER", "NODES"]).await.unwrap_or_default();
                let count = |word| map.lines().filter(|line| line.contains(word)).count();
                let has_epoch = |line: &&str| line.split(' ').nth(6).is_some_and(|epoch| epoch != "0");
                count("slave") == PRIMARIES
                    && count("fail") + count("handshake") + count("noaddr") == 0
                    && map.lines().filter(|line| line.contains("master")).filter(has_epoch).count() == PRIMARIES
            };
            node.until_ready("a node's view of the cluster", START, knows_all).await?;
        }
        for replica in &self.nodes[PRIMARIES..] {
            let is_linked = async || {
                replica.cli(&["INFO", "replication"]).await.is_ok_and(|info| info.contains("master_link_status:up"))
            };
            replica.until_ready("a replica", START, is_linked).await?;
        }
        Ok(())
    }

    async fn until(&self, name: &str, line: &str) -> Result<()> {
        for node in &self.nodes {
            let is_there = async || node.cli(&["CLUSTER", "INFO"]).await.is_ok_and(|info| info.contains(line));
            node.until_ready(name, START, is_there).await?;
        }
        Ok(())
    }
}
