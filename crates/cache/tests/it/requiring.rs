//! A reader that requires a state of the source takes no entry from an earlier one, in every state of Redis.

use cache::Outcome;

use crate::both::requiring::read_since;
use crate::support::{Node, Proxy, Row, calls, node, one_node, patient, settings, through};

#[tokio::test]
async fn requirement_costs_a_hit_no_command() {
    let (redis, node, row) = one_node([]).await;
    let node = node.under(patient());
    read_since(&node, 1, &row).await;
    let scripts = calls(&redis, "evalsha").await;
    for _ in 0..10 {
        assert_eq!(read_since(&node, 1, &row).await.outcome(), Outcome::Hit);
    }
    assert_eq!(calls(&redis, "evalsha").await, scripts);
}

/// An invalidation that Redis did not receive: the process that knows it bypasses the entry, other processes do not.
#[tokio::test]
async fn requirement_holds_while_the_invalidation_of_another_process_is_deferred() {
    let (redis, reader) = node().await;
    let proxy = Proxy::to(redis.port()).await.unwrap();
    let writer = Node::with(&settings(through(&proxy)), patient()).await;
    let row = Row::new([]);
    read_since(&reader, 1, &row).await;
    proxy.cut();
    let version = row.commit();
    assert!(matches!(writer.cache.invalidate(1).await, cache::Invalidated::Deferred));
    assert_eq!(reader.read(1, &row).await.version(), Some(1));
    assert_eq!(read_since(&reader, version, &row).await.version(), Some(version));
}
