//! Invalidation of entries older than a committed version: it may come late and twice, and removes nothing that is new
//! enough.

use cache::outcome::{Fill, FillRefusal};
use cache::write_through::Published;
use cache::{Invalidation, Outcome};

use crate::support::{Node, Row, existing, filled_node, one_node, patient, redis, shelf, two_nodes};

async fn remove_older(node: &Node, id: u32, version: u64) -> u64 {
    node.invalidate(Invalidation::hard().key_older_than(node.key(id), version)).await
}

#[tokio::test]
async fn older_entry_is_removed_and_current_entry_stays() {
    let (_redis, node, row) = filled_node([]).await;
    assert_eq!(remove_older(&node, 1, 1).await, 0);
    assert_eq!(node.cached(1).await, Some(1));
    assert_eq!(remove_older(&node, 1, row.commit()).await, 1);
    assert_eq!(node.cached(1).await, None);
    node.fill(1, &row).await;
    for version in [1, 2] {
        assert_eq!(remove_older(&node, 1, version).await, 0, "version {version}");
    }
    assert_eq!(node.cached(1).await, Some(2));
    assert_eq!(remove_older(&node, 1, 10).await, 1, "versions are numbers, not texts");
}

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
    let redis = redis().await;
    let (node, row) = (Node::on(&redis).await, Row::default());
    let (reading, load) = node.loading(1, &row).await;
    remove_older(&node, 1, row.commit()).await;
    load.finish();
    assert_eq!(reading.value().await.outcome(), Outcome::Miss(Fill::Refused(FillRefusal::VersionOutdated)));
    assert_eq!(node.read(1, &row).await.version(), Some(1));
}

#[tokio::test]
async fn load_of_the_named_version_keeps_its_lease_and_is_stored() {
    let (_redis, node, peer, row) = two_nodes([shelf(1)]).await;
    row.commit();
    let (reading, load) = node.loading(1, &row).await;
    assert_eq!(remove_older(&node, 1, 2).await, 0);
    // The lease stays a lease: another process waits for it and does not load.
    let other = peer.under(patient().wait(std::time::Duration::ZERO)).read(1, &row).await;
    assert_eq!(other.outcome(), Outcome::Bypass(cache::outcome::Bypass::LeaseHeld));
    load.finish();
    assert_eq!(reading.value().await.outcome(), Outcome::Miss(Fill::Stored));
    assert_eq!(peer.cached(1).await, Some(2));
    assert_eq!(node.remove_tag(shelf(1)).await, 1, "it is registered under its tags");
}

#[tokio::test]
async fn writer_of_the_named_version_stores_and_an_earlier_one_does_not() {
    let (_redis, node, row) = one_node([]).await;
    for (id, is_overtaken) in [(1, false), (2, true)] {
        let writing = node.cache.begin_write(id).await;
        let mut committed = row.commit();
        let written = row.read();
        if is_overtaken {
            // The later writer could not take over the lease, because Redis did not answer it.
            committed = row.commit();
        }
        remove_older(&node, id, committed).await;
        let published = if is_overtaken { Published::Invalidated } else { Published::Stored };
        assert_eq!(writing.publish(written).await, published);
        assert_eq!(node.cached(id).await, (!is_overtaken).then_some(committed));
    }
}

#[tokio::test]
async fn entry_without_a_version_is_removed() {
    let redis = redis().await;
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

#[tokio::test]
async fn entries_of_all_partitions_are_compared_with_their_own_versions() {
    let redis = redis().await;
    let keyspace = cache::Keyspace::partitioned("shop", 4).unwrap();
    let node = Node::of(keyspace, &crate::support::settings(redis.url()), patient()).await;
    let row = Row::new([]);
    node.fill_many(0..200, &row).await;
    let named =
        (0..200).fold(Invalidation::hard(), |named, id| named.key_older_than(node.key(id), 1 + u64::from(id % 2)));
    assert_eq!(node.invalidate(named).await, 100);
    for id in 0..200 {
        assert_eq!(node.cached(id).await, (id % 2 == 0).then_some(1), "entry {id}");
    }
}
