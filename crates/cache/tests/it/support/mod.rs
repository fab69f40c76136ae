//! Shared parts of the tests: a row, loads that the test steps through, and nodes that read it.

mod node;
mod nodes;
mod push_filter;
mod record;
mod recovery;
mod row;
mod times;

use std::time::Duration;

use cache::{CacheClient, CacheSettings, Cached, Keyspace, Outcome, Policy};
use testkit::{Redis, Transport, eventually};

pub(crate) use node::{Node, Reading};
pub(crate) use nodes::{filled_node, node, node_with_one_permit, one_node, two_nodes};
pub(crate) use push_filter::PushFilter;
pub(crate) use record::TestRecord;
pub(crate) use row::{DatabaseError, Gate, Load, Loader, Row};
pub(crate) use testkit::Proxy;
pub(crate) use times::{LONG, SOON, patient, shelf};

/// Settings for a Redis that answers: a busy machine is not a dead server. There is no sweep, unless a test enables it.
pub(crate) fn settings(url: String) -> CacheSettings {
    CacheSettings {
        url,
        command_timeout: Duration::from_secs(5),
        load_queue: LONG,
        sweep_rest: 60 * LONG,
        ..CacheSettings::default()
    }
}

impl Node {
    /// Creates a node whose entries, leases and waits outlast the test.
    pub(crate) async fn on(redis: &Redis) -> Self {
        Self::adjusted(redis, |settings| settings).await
    }

    /// Creates such a node with other settings.
    pub(crate) async fn adjusted(redis: &Redis, adjust: impl FnOnce(CacheSettings) -> CacheSettings) -> Self {
        Self::with(&adjust(settings(redis.url())), patient()).await
    }

    /// Reads until a read does not bypass the cache.
    pub(crate) async fn read_from_cache(&self, id: u32, row: &Row) -> Cached<String> {
        eventually("a read that does not bypass the cache", SOON, async || {
            Some(self.read(id, row).await).filter(|read| !matches!(read.outcome(), Outcome::Bypass(_)))
        })
        .await
    }

    pub(crate) async fn with(settings: &CacheSettings, policy: Policy) -> Self {
        Self::of(Keyspace::new("shop").unwrap(), settings, policy).await
    }

    pub(crate) async fn of(keyspace: Keyspace, settings: &CacheSettings, policy: Policy) -> Self {
        Self::new(CacheClient::connect_with(keyspace, settings).await.unwrap(), policy)
    }
}

pub(crate) type Server = Redis;

/// Starts a Redis that only this test uses.
pub(crate) async fn redis() -> Redis {
    Redis::start().await.unwrap()
}

pub(crate) async fn server() -> Redis {
    redis().await
}

/// Returns a server to which the test may do anything.
pub(crate) async fn own_server() -> Redis {
    redis().await
}

/// Does nothing: a single server keeps everything.
pub(crate) async fn migrate(_redis: &Redis, _name: &str) {}

/// Returns a Redis that only this test uses, a proxy to it, a node behind the proxy, and a node directly on Redis.
pub(crate) async fn behind_proxy() -> (Redis, Proxy, Node, Node) {
    let (redis, node) = node().await;
    let proxy = Proxy::to(redis.port()).await.unwrap();
    // Tests hold its commands and replies for as long as a busy machine needs for their steps.
    let unhurried = CacheSettings { command_timeout: LONG, ..settings(through(&proxy)) };
    let behind = Node::with(&unhurried, patient()).await;
    (redis, proxy, behind, node)
}

/// Returns how many of `names` exist in Redis.
pub(crate) async fn existing(redis: &Redis, names: &[&str]) -> u64 {
    redis.cli(&[&["EXISTS"], names].concat()).await.unwrap().parse().unwrap()
}

/// Deletes entries, as when they expire or are evicted.
pub(crate) async fn lose(redis: &Redis, ids: impl IntoIterator<Item = u32>) {
    let mut command = vec!["DEL".to_owned()];
    command.extend(ids.into_iter().map(|id| format!("shop:item:{id}")));
    redis.cli(&command.iter().map(String::as_str).collect::<Vec<_>>()).await.unwrap();
}

/// Returns the number that a command of `redis-cli` prints.
pub(crate) async fn number(redis: &Redis, command: &[&str]) -> i64 {
    redis.cli(command).await.unwrap().parse().unwrap()
}

/// Returns how often Redis has run `command` so far.
pub(crate) async fn calls(redis: &Redis, command: &str) -> u64 {
    calls_in(&redis.cli(&["INFO", "commandstats"]).await.unwrap(), command)
}

/// Returns how often Redis was asked for an entry, give or take one. A barrier of a near cache is a GET and a SET.
pub(crate) async fn entry_reads(redis: &Redis) -> u64 {
    let stats = redis.cli(&["INFO", "commandstats"]).await.unwrap();
    calls_in(&stats, "get").abs_diff(calls_in(&stats, "set"))
}

fn calls_in(stats: &str, command: &str) -> u64 {
    let line = format!("cmdstat_{command}:calls=");
    let count = stats.lines().find_map(|found| found.strip_prefix(line.as_str())?.split(',').next()?.parse().ok());
    count.unwrap_or(0)
}

/// Returns the number of connections, without those of `redis-cli` and of a sentinel.
pub(crate) async fn connections(redis: &Redis) -> usize {
    let clients = redis.cli(&["CLIENT", "LIST"]).await.unwrap();
    clients.lines().filter(|client| !client.is_empty() && !client.contains(" name=sentinel-")).count() - 1
}

/// Returns the URL of Redis through a proxy.
pub(crate) fn through(proxy: &Proxy) -> String {
    Transport::of_this_run().url(proxy.port())
}
