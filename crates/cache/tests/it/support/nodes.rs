//! Nodes with the store that they share: a Redis, a memory, or a keyspace on a cluster that only this test uses.

use std::time::Duration;

use cache::{CacheSettings, Tag};

use super::node::Node;
use super::row::Row;
use super::{Server, server};

/// Returns a node.
pub(crate) async fn node() -> (Server, Node) {
    let server = server().await;
    let node = Node::on(&server).await;
    (server, node)
}

/// Returns a node, and a row with these tags.
pub(crate) async fn one_node<T: IntoIterator<Item = Tag>>(tags: T) -> (Server, Node, Row) {
    let (server, node) = node().await;
    (server, node, Row::new(tags))
}

/// Returns a node, and a row with these tags that the node has stored as entry 1.
pub(crate) async fn filled_node<T: IntoIterator<Item = Tag>>(tags: T) -> (Server, Node, Row) {
    let (server, node, row) = one_node(tags).await;
    node.fill(1, &row).await;
    (server, node, row)
}

/// Returns two nodes, and a row with these tags.
pub(crate) async fn two_nodes<T: IntoIterator<Item = Tag>>(tags: T) -> (Server, Node, Node, Row) {
    let (server, node, row) = one_node(tags).await;
    let peer = Node::on(&server).await;
    (server, node, peer, row)
}

/// Returns a node that runs one load at a time; the others wait for at most `queue`.
pub(crate) async fn node_with_one_permit(queue: Duration) -> (Server, Node) {
    let server = server().await;
    let narrow = |settings| CacheSettings { max_loads: 1, load_queue: queue, ..settings };
    let node = Node::adjusted(&server, narrow).await;
    (server, node)
}
