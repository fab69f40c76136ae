//! The nodes of the tests, on a cluster that all of them share. Each test has a keyspace of its own.

#[path = "../it/support/node.rs"]
mod node;
#[path = "../it/support/nodes.rs"]
mod nodes;
#[path = "../it/support/record.rs"]
mod record;
#[path = "../it/support/row.rs"]
mod row;
#[path = "../it/support/times.rs"]
mod times;

use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use cache::{CacheClient, CacheSettings, Keyspace};
use testkit::{RedisCluster, eventually};

pub(crate) use node::{Node, Reading};
pub(crate) use nodes::{filled_node, node, node_with_one_permit, one_node, two_nodes};
pub(crate) use record::TestRecord;
pub(crate) use row::{DatabaseError, Gate, Load, Loader, Row};
pub(crate) use times::{LONG, SOON, patient, shelf};

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

async fn server() -> Place {
    Place::new().await
}
