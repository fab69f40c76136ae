//! Fills: a value may be stored only if nothing that could have outdated it happened since its load began.
//!
//! Each test isolates one defence: without it in the scripts, the old value is stored.

use cache::outcome::{Fill, FillRefusal};
use cache::{Cached, Invalidation, Outcome, Tag};

use crate::support::{Node, Row, one_node, shelf};

pub(crate) fn refused(cached: &Cached<String>, refusal: FillRefusal) {
    assert_eq!(cached.outcome(), Outcome::Miss(Fill::Refused(refusal)));
    assert_eq!(cached.version(), Some(1), "the reader that began before the change gets what it loaded");
}

/// The next read loads at once, and its value is stored.
pub(crate) async fn reads_anew(node: &Node, id: u32, row: &Row) {
    let next = node.read(id, row).await;
    assert_eq!((next.version(), next.outcome()), (Some(row.version()), Outcome::Miss(Fill::Stored)));
    assert_eq!(node.read(id, row).await.outcome(), Outcome::Hit);
}

#[tokio::test]
async fn late_fill_is_refused_after_key_invalidation() {
    let (_redis, node, row) = one_node([]).await;
    let (reading, load) = node.loading(1, &row).await;
    row.commit();
    node.remove(1).await;
    load.finish();
    refused(&reading.value().await, FillRefusal::LeaseLost);
    reads_anew(&node, 1, &row).await;
}

#[tokio::test]
async fn late_fill_is_refused_after_soft_key_invalidation() {
    let (_redis, node, row) = one_node([]).await;
    let (reading, load) = node.loading(1, &row).await;
    row.commit();
    node.expire(1).await;
    load.finish();
    refused(&reading.value().await, FillRefusal::LeaseLost);
    reads_anew(&node, 1, &row).await;
}

#[tokio::test]
async fn late_fill_is_refused_after_soft_tag_invalidation() {
    let (_redis, node, row) = one_node([shelf(1)]).await;
    let (reading, load) = node.loading(1, &row).await;
    row.commit();
    node.expire_tag(shelf(1)).await;
    load.finish();
    refused(&reading.value().await, FillRefusal::Fenced);
    reads_anew(&node, 1, &row).await;
}

#[tokio::test]
async fn fill_is_fenced_only_by_the_tags_of_the_loaded_value() {
    let (_redis, node, row) = one_node([shelf(1)]).await;
    node.fill(2, &row).await;
    row.set_tags([shelf(2)]);
    let (reading, load) = node.loading(1, &row).await;
    node.remove_tag(shelf(1)).await;
    load.finish();
    assert_eq!(reading.value().await.outcome(), Outcome::Miss(Fill::Stored), "it is not on that shelf any more");
    assert_eq!(node.remove_tag(shelf(2)).await, 1);
}

#[tokio::test]
async fn load_that_began_after_an_invalidation_is_stored() {
    let (_redis, node, row) = one_node([shelf(1)]).await;
    for _ in 0..3 {
        row.commit();
        node.invalidate(Invalidation::hard().key(node.key(1)).tag(shelf(1))).await;
        reads_anew(&node, 1, &row).await;
    }
}

/// Both leases belong to one process: that of a reader, and that of a later writer.
#[tokio::test]
async fn lease_belongs_to_one_load_and_not_to_its_process() {
    let (_redis, node, row) = one_node([]).await;
    let (reading, load) = node.loading(1, &row).await;
    let writing = node.cache.begin_write(1).await;
    row.commit();
    load.finish();
    refused(&reading.value().await, FillRefusal::LeaseLost);
    assert_eq!(writing.publish(row.read()).await, cache::write_through::Published::Stored);
    assert_eq!(node.cached(1).await, Some(2));
}

#[tokio::test]
async fn value_with_many_tags_is_removed_by_each_tag() {
    let (_redis, node, row) = one_node((0..300).map(shelf).chain([Tag::new("q", "a, b\n100%")])).await;
    for tag in [shelf(0), shelf(299), Tag::new("q", "a, b\n100%")] {
        node.fill(1, &row).await;
        assert_eq!(node.remove_tag(tag).await, 1);
    }
}
