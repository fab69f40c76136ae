//! The nodes of the tests, in memory: clients that share one are to each other what processes on one Redis are.

#[path = "../it/support/node.rs"]
mod node;
#[path = "../it/support/row.rs"]
mod row;
#[path = "../it/support/times.rs"]
mod times;

use std::time::Duration;

use cache::memory::Memory;
use cache::{CacheClient, CacheSettings, Keyspace, Tag};

pub(crate) use node::{Node, Reading};
pub(crate) use row::{DatabaseError, Gate, Load, Loader, Row};
pub(crate) use times::{LONG, SOON, patient, shelf};

/// Settings for a memory that answers.
pub(crate) fn settings() -> CacheSettings {
    CacheSettings {
        command_timeout: Duration::from_secs(5),
        load_queue: LONG,
        sweep_rest: 60 * LONG,
        ..CacheSettings::default()
    }
}

impl Node {
    /// Creates a node whose entries, leases and waits outlast the test.
    pub(crate) async fn on(memory: &Memory) -> Self {
        Self::with(memory, &settings())
    }

    pub(crate) fn with(memory: &Memory, settings: &CacheSettings) -> Self {
        let keyspace = Keyspace::new("shop").unwrap();
        Self::new(CacheClient::in_memory_with(keyspace, memory, settings), patient())
    }
}

pub(crate) async fn node() -> (Memory, Node) {
    let memory = Memory::new();
    let node = Node::on(&memory).await;
    (memory, node)
}

pub(crate) async fn one_node<T: IntoIterator<Item = Tag>>(tags: T) -> (Memory, Node, Row) {
    let (memory, node) = node().await;
    (memory, node, Row::new(tags))
}

pub(crate) async fn filled_node<T: IntoIterator<Item = Tag>>(tags: T) -> (Memory, Node, Row) {
    let (memory, node, row) = one_node(tags).await;
    node.fill(1, &row).await;
    (memory, node, row)
}

pub(crate) async fn two_nodes<T: IntoIterator<Item = Tag>>(tags: T) -> (Memory, Node, Node, Row) {
    let (memory, node, row) = one_node(tags).await;
    let peer = Node::on(&memory).await;
    (memory, node, peer, row)
}
