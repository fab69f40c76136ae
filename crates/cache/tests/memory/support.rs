//! The nodes of the tests, in memory: clients that share one are to each other what processes on one Redis are.

#[path = "../it/support/node.rs"]
mod node;
#[path = "../it/support/nodes.rs"]
mod nodes;
#[path = "../it/support/row.rs"]
mod row;
#[path = "../it/support/times.rs"]
mod times;

use std::time::Duration;

use cache::memory::Memory;
use cache::{CacheClient, CacheSettings, Keyspace};

pub(crate) use node::{Node, Reading};
pub(crate) use nodes::{filled_node, node, node_with_one_permit, one_node, two_nodes};
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
        Self::adjusted(memory, |settings| settings).await
    }

    /// Creates such a node with other settings.
    pub(crate) async fn adjusted(memory: &Memory, adjust: impl FnOnce(CacheSettings) -> CacheSettings) -> Self {
        Self::with(memory, &adjust(settings()))
    }

    pub(crate) fn with(memory: &Memory, settings: &CacheSettings) -> Self {
        let keyspace = Keyspace::new("shop").unwrap();
        Self::new(CacheClient::in_memory_with(keyspace, memory, settings), patient())
    }
}

pub(crate) type Server = Memory;

async fn server() -> Memory {
    Memory::new()
}
