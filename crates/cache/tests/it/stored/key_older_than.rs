//! Invalidation of entries older than a committed version: it may come late and twice, and removes nothing that is new
//! enough.

use cache::Outcome;
use cache::outcome::{Fill, FillRefusal};

use crate::both::key_older_than::remove_older;
use crate::support::{Node, Row, existing, one_node, server};

#[tokio::test]
async fn load_of_an_older_version_is_refused() {
    let (redis, node, row) = one_node([]).await;
    let (reading, load) = node.loading(1, &row).await;
    remove_older(&node, 1, row.commit()).await;
    // An older event that arrives later does not lower the required version.
    remove_older(&node, 1, 1).await;
    load.finish();
    assert_eq!(reading.value().await.outcome(), Outcome::Miss(Fill::Refused(FillRefusal::VersionOutdated)));
    assert_eq!(existing(&redis, &[node.key(1).as_str()]).await, 0, "the refused lease is given back");
    assert_eq!(node.read(1, &row).await.outcome(), Outcome::Miss(Fill::Stored));
    assert_eq!(node.cached(1).await, Some(2));
}

#[tokio::test]
async fn load_of_a_missing_row_is_refused_after_its_creation() {
    let redis = server().await;
    let (node, row) = (Node::on(&redis).await, Row::default());
    let (reading, load) = node.loading(1, &row).await;
    remove_older(&node, 1, row.commit()).await;
    load.finish();
    assert_eq!(reading.value().await.outcome(), Outcome::Miss(Fill::Refused(FillRefusal::VersionOutdated)));
    assert_eq!(node.read(1, &row).await.version(), Some(1));
}

#[tokio::test]
async fn entry_without_a_version_is_removed() {
    let redis = server().await;
    let (node, row) = (Node::on(&redis).await, Row::default());
    node.fill(1, &row).await;
    assert_eq!(remove_older(&node, 1, 1).await, 1);
    let key = node.key(1);
    for foreign in ["hello", "V without a header", "Lshort", ""] {
        redis.cli(&["SET", key.as_str(), foreign]).await.unwrap();
        remove_older(&node, 1, 1).await;
        // An empty string looks like a missing key; it is not served as an entry either.
        assert_eq!(node.cached(1).await, None);
    }
    redis.cli(&["DEL", key.as_str()]).await.unwrap();
    redis.cli(&["RPUSH", key.as_str(), "another type"]).await.unwrap();
    assert_eq!(remove_older(&node, 1, 1).await, 1);
    assert_eq!(existing(&redis, &[key.as_str()]).await, 0);
}
