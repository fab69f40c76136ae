//! Write-through: in every order of the steps of writers and readers, the later write stays.

use std::time::Duration;

use cache::outcome::{Fill, FillRefusal};
use cache::write_through::Published;
use cache::{Invalidation, Outcome, Tag};
use futures_util::future::poll_immediate;

use crate::support::{LONG, filled_node, one_node, patient, shelf, two_nodes};

#[tokio::test]
async fn read_after_a_write_through_is_a_hit_in_every_process() {
    let (_redis, node, peer, row) = two_nodes([shelf(1)]).await;
    node.fill(1, &row).await;
    let writing = node.cache.begin_write(1).await;
    row.commit();
    assert_eq!(writing.publish(row.read()).await, Published::Stored);
    for reader in [&node, &peer] {
        let hit = reader.read(1, &row).await;
        assert_eq!((hit.outcome(), hit.version()), (Outcome::Hit, Some(2)));
    }
    assert_eq!(node.remove_tag(shelf(1)).await, 1, "it is registered under its tags");
}

#[tokio::test]
async fn load_from_before_a_write_loses_its_lease() {
    let (_redis, node, peer, row) = two_nodes([]).await;
    let (reading, old) = peer.loading(1, &row).await;
    let writing = node.cache.begin_write(1).await;
    row.commit();
    assert_eq!(writing.publish(row.read()).await, Published::Stored);
    old.finish();
    assert_eq!(reading.value().await.outcome(), Outcome::Miss(Fill::Refused(FillRefusal::LeaseLost)));
    assert_eq!(peer.cached(1).await, Some(2));
}

#[tokio::test]
async fn a_reader_during_a_write_waits_for_the_written_value() {
    let (_redis, node, peer, row) = two_nodes([]).await;
    node.fill(1, &row).await;
    let writing = node.cache.begin_write(1).await;
    let readings = [peer.start(1, &row.loader()), node.start(1, &row.loader())];
    peer.settle().await;
    row.commit();
    assert_eq!(writing.publish(row.read()).await, Published::Stored);
    for reading in readings {
        let cached = reading.value().await;
        assert_eq!((cached.version(), cached.outcome()), (Some(2), Outcome::Collapsed));
    }
    assert_eq!(row.loads(), 1, "the fill alone");
}

#[tokio::test]
async fn write_is_refused_after_its_key_or_tag_was_invalidated() {
    let (_redis, node, peer, row) = two_nodes([shelf(1)]).await;
    for (id, by_tag) in [(1, false), (2, true)] {
        let writing = node.cache.begin_write(id).await;
        row.commit();
        let written = row.read();
        // Something else that the value shows changes.
        row.commit();
        peer.invalidate(match by_tag {
            true => Invalidation::hard().tag(shelf(1)),
            false => Invalidation::hard().key(peer.key(id)),
        })
        .await;
        assert_eq!(writing.publish(written).await, Published::Invalidated);
        assert_eq!(peer.read(id, &row).await.version(), Some(row.version()));
    }
}

#[tokio::test]
async fn write_with_a_name_that_no_entry_can_have_is_not_stored() {
    let (_redis, node, row) = filled_node([]).await;
    for (id, tag) in [("1", Tag::new("shelf", "")), ("1", Tag::new("shelf", "x".repeat(Tag::LONGEST))), ("", shelf(1))]
    {
        let writing = node.cache.begin_write(id).await;
        row.commit();
        assert_eq!(writing.publish(row.read().tag(tag)).await, Published::Invalidated);
    }
    assert_eq!(node.read(1, &row).await.version(), Some(4));
}

#[tokio::test]
async fn write_after_an_invalidation_of_its_tag_is_stored() {
    let (_redis, node, row) = one_node([shelf(1)]).await;
    node.remove_tag(shelf(1)).await;
    let writing = node.cache.begin_write(1).await;
    row.commit();
    assert_eq!(writing.publish(row.read()).await, Published::Stored);
    assert_eq!(node.cached(1).await, Some(2));
}

#[tokio::test]
async fn read_after_a_rollback_loads_at_once() {
    let (_redis, node, row) = filled_node([]).await;
    let writing = node.cache.begin_write(1).await;
    writing.abandon().await;
    // The lease would last for longer than a read may take here.
    let cached = node.under(patient().wait(LONG)).read(1, &row).await;
    assert_eq!((cached.version(), cached.outcome()), (Some(1), Outcome::Miss(Fill::Stored)));
}

#[tokio::test]
async fn write_lease_of_a_dead_writer_expires() {
    let (_redis, node, row) = one_node([]).await;
    let hasty = node.under(patient().lease(Duration::from_millis(50)));
    // As when its process is killed.
    std::mem::forget(hasty.cache.begin_write(1).await);
    assert_eq!(node.read(1, &row).await.outcome(), Outcome::Miss(Fill::Stored));
}

#[tokio::test]
async fn publish_completes_after_its_future_is_dropped() {
    let (_redis, node, row) = one_node([]).await;
    let writing = node.cache.begin_write(1).await;
    row.commit();
    assert!(poll_immediate(writing.publish(row.read())).await.is_none());
    node.until_cached(1, 2).await;
}
