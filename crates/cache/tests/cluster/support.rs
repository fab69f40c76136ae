//! The nodes of the tests, on a cluster that all of them share. Each test has a keyspace of its own.

#[path = "../it/support/node.rs"]
mod node;
#[path = "../it/support/nodes.rs"]
mod nodes;
#[path = "../it/support/record.rs"]
mod record;
#[path = "../it/support/recovery.rs"]
mod recovery;
#[path = "../it/support/row.rs"]
mod row;
#[path = "../it/support/times.rs"]
mod times;

use std::error::Error;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use cache::{CacheClient, CacheSettings, Key, Keyspace};
use testkit::{RedisCluster, eventually};

pub(crate) use node::{Node, Reading};
pub(crate) use nodes::{filled_node, node, node_with_one_permit, one_node, two_nodes};
pub(crate) use record::TestRecord;
pub(crate) use row::{DatabaseError, Gate, Load, Loader, Row};
pub(crate) use times::{LONG, SOON, patient, shelf};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// A keyspace on a cluster.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) cluster: &'static RedisCluster,
    keyspace: Keyspace,
}

impl Place {
    pub(crate) async fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let name = format!("shop-{}", NEXT.fetch_add(1, Relaxed));
        Self { cluster: RedisCluster::shared().await, keyspace: Keyspace::partitioned(&name, 8).unwrap() }
    }

    pub(crate) fn keyspace(&self) -> Keyspace {
        self.keyspace.clone()
    }

    /// Runs a command of `redis-cli`. In its arguments, `shop:item:1` is the name of an entry, whose partition decides on the
    /// server. Other data of the cache, such as `shop:~fence`, is in every partition: then the command runs in each, and the
    /// numbers are added.
    pub(crate) async fn cli(&self, command: &[&str]) -> Result<String> {
        let bare = command.iter().find_map(|argument| argument.strip_prefix("shop:"));
        let entry =
            bare.map(|bare| bare.strip_prefix("~refresh:").unwrap_or(bare)).filter(|bare| !bare.starts_with('~'));
        if let Some((cache, id)) = entry.and_then(|entry| entry.split_once(':')) {
            let key = self.keyspace.key(cache, id);
            return self.run(key.as_str().trim_end_matches(key.local_name()), command).await;
        }
        if let Some(name) = command.iter().find(|argument| argument.starts_with('{')) {
            return Ok(self.cluster.primary_of(name).await?.cli(command).await?);
        }
        let mut replies = Vec::new();
        if bare.is_some() {
            for prefix in self.prefixes() {
                replies.push(self.run(&prefix, command).await);
            }
        } else {
            for node in &self.cluster.nodes()[..3] {
                replies.push(node.cli(command).await.map_err(Into::into));
            }
        }
        // A partition may have no such key.
        let known: Vec<String> = replies.into_iter().flatten().filter(|reply| !reply.is_empty()).collect();
        let numbers: std::result::Result<Vec<i64>, _> = known.iter().map(|reply| reply.parse::<i64>()).collect();
        Ok(numbers.map_or_else(|_| known.join("\n"), |numbers| numbers.iter().sum::<i64>().to_string()))
    }

    fn prefixes(&self) -> Vec<String> {
        (0..self.keyspace.partitions()).map(|partition| format!("{{{}:{partition}}}:", self.keyspace.name())).collect()
    }

    /// Runs a command with the names that begin with this prefix.
    async fn run(&self, prefix: &str, command: &[&str]) -> Result<String> {
        let server = self.cluster.primary_of(prefix).await?;
        let name = |argument: &&str| match argument.strip_prefix("shop:") {
            Some(bare) => format!("{prefix}{bare}"),
            None => (*argument).to_owned(),
        };
        let command: Vec<String> = command.iter().map(name).collect();
        Ok(server.cli(&command.iter().map(String::as_str).collect::<Vec<_>>()).await?)
    }
}

/// Returns a keyspace on a cluster to which the test may do anything.
pub(crate) async fn own_server() -> Place {
    // Its servers end with the process.
    let cluster = Box::leak(Box::new(RedisCluster::start().await.unwrap()));
    Place { cluster, keyspace: Keyspace::partitioned("shop", 8).unwrap() }
}

/// Moves the slot of an entry to another server.
pub(crate) async fn migrate(place: &Place, name: &str) {
    let (cache, id) = name.trim_start_matches("shop:").split_once(':').unwrap();
    place.cluster.migrate(place.keyspace.key(cache, id).as_str(), async || {}).await.unwrap();
}

/// Returns how many of `names` exist.
pub(crate) async fn existing(place: &Place, names: &[&str]) -> u64 {
    let mut count = 0;
    for name in names {
        count += place.cli(&["EXISTS", name]).await.unwrap().parse::<u64>().unwrap();
    }
    count
}

/// Returns the number that a command of `redis-cli` prints, or the sum of those of all partitions.
pub(crate) async fn number(place: &Place, command: &[&str]) -> i64 {
    place.cli(command).await.unwrap().parse().unwrap()
}

/// Deletes entries, as when they expire or are evicted.
pub(crate) async fn lose(place: &Place, ids: impl IntoIterator<Item = u32>) {
    let keys: Vec<Key> = ids.into_iter().map(|id| place.keyspace.key("item", id)).collect();
    for prefix in place.prefixes() {
        let here = keys.iter().map(Key::as_str).filter(|name| name.starts_with(&prefix));
        let command: Vec<&str> = std::iter::once("DEL").chain(here).collect();
        if command.len() > 1 {
            place.run(&prefix, &command).await.unwrap();
        }
    }
}

/// Settings for a cluster that answers: a busy machine is not a dead server.
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
    pub(crate) async fn on(place: &Place) -> Self {
        Self::adjusted(place, |settings| settings).await
    }

    /// Creates such a node with other settings.
    pub(crate) async fn adjusted(place: &Place, adjust: impl FnOnce(CacheSettings) -> CacheSettings) -> Self {
        Self::of(place.keyspace(), &adjust(settings(place.cluster.url()))).await
    }

    pub(crate) async fn of(keyspace: Keyspace, settings: &CacheSettings) -> Self {
        let node = Self::new(CacheClient::connect_with(keyspace, settings).await.unwrap(), patient());
        // On a busy machine, it may have started without the cluster.
        eventually("the cluster is in use", LONG, async || node.client.health().is_in_use()).await;
        node
    }
}

pub(crate) type Server = Place;

pub(crate) async fn server() -> Place {
    Place::new().await
}
