//! A reader that requires a state of the source takes no entry from an earlier one, in every state of Redis.

use std::future::ready;

use cache::outcome::Fill;
use cache::{Cached, Outcome};

use crate::support::{Loader, Node, Row, one_node, two_nodes};

/// Returns loads of `row` whose stamp is its version.
fn stamped(row: &Row) -> Loader {
    let row = row.clone();
    std::sync::Arc::new(move || Box::pin(ready(Ok(row.read().stamp(&row.version().to_string())))))
}

/// Reads entry 1, as it was in version `least` or later.
pub(crate) async fn read_since(node: &Node, least: u64, row: &Row) -> Cached<String> {
    let cache = node.cache.requiring(move |stamp| stamp.is_some_and(|stamp| stamp.parse::<u64>().unwrap() >= least));
    let load = stamped(row);
    cache.read(1, move || load()).await.unwrap()
}

#[tokio::test]
async fn entry_of_an_earlier_state_is_loaded_anew_and_replaced() {
    let (_redis, node, row) = one_node([]).await;
    assert_eq!(read_since(&node, 1, &row).await.outcome(), Outcome::Miss(Fill::Stored));
    assert_eq!(read_since(&node, 1, &row).await.outcome(), Outcome::Hit);
    // A write without an invalidation.
    let version = row.commit();
    assert_eq!(node.read(1, &row).await.version(), Some(1), "other readers take what is there");
    let new = read_since(&node, version, &row).await;
    assert_eq!((new.outcome(), new.version(), new.stamp()), (Outcome::Miss(Fill::Stored), Some(2), Some("2")));
    for _ in 0..2 {
        assert_eq!(read_since(&node, version, &row).await.outcome(), Outcome::Hit);
        assert_eq!(node.read(1, &row).await.version(), Some(2));
    }
}

#[tokio::test]
async fn entry_without_a_stamp_is_loaded_anew() {
    let (_redis, node, row) = one_node([]).await;
    node.fill(1, &row).await;
    assert_eq!(read_since(&node, 1, &row).await.outcome(), Outcome::Miss(Fill::Stored));
    assert_eq!(read_since(&node, 1, &row).await.outcome(), Outcome::Hit);
}

/// A load that began before the write, and that the reader joins or finds: it is not new enough.
#[tokio::test]
async fn result_of_an_earlier_load_is_not_taken() {
    let (_redis, node, peer, row) = two_nodes([]).await;
    let (mut gate, load) = row.gated();
    let first = node.start(1, &load);
    let loading = gate.began().await;
    let version = row.commit();
    let readers = [node.clone(), peer.clone()].map(|reader| {
        let row = row.clone();
        tokio::spawn(async move { read_since(&reader, version, &row).await })
    });
    node.settle().await;
    peer.settle().await;
    loading.finish();
    assert_eq!(first.value().await.version(), Some(1));
    for reader in readers {
        assert_eq!(reader.await.unwrap().version(), Some(version));
    }
}

#[tokio::test]
async fn entry_is_read_by_others_while_it_is_replaced() {
    let (_redis, node, peer, row) = two_nodes([]).await;
    node.fill(1, &row).await;
    row.commit();
    let (mut gate, load) = row.gated();
    let cache = node.cache.requiring(|stamp| stamp.is_some());
    let reader = tokio::spawn(async move { cache.read(1, move || load()).await.unwrap() });
    let loading = gate.began().await;
    assert_eq!(peer.read(1, &row).await.outcome(), Outcome::Hit);
    loading.finish();
    // The loaded value has no stamp either, but it was read for this reader.
    assert_eq!(reader.await.unwrap().version(), Some(2));
}
