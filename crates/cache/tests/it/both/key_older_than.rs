//! Invalidation of entries older than a committed version: it may come late and twice, and removes nothing that is new
//! enough.

use cache::outcome::Fill;
use cache::write_through::Published;
use cache::{Invalidation, NewEntry, Outcome};

use crate::support::{DatabaseError, Node, filled_node, node, one_node, patient, shelf, two_nodes};

pub(crate) async fn remove_older(node: &Node, id: u32, version: u64) -> u64 {
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

/// From 2^53 on, a floating-point number cannot represent each version. Lua has no other numbers.
#[tokio::test]
async fn versions_are_compared_exactly() {
    const EXACT: u64 = 1 << 53;
    let (_redis, node) = node().await;
    let read = async |version: u64| {
        let load = move || async move { Ok::<_, DatabaseError>(NewEntry::<String>::raw("x").version(version)) };
        node.cache.read(1, load).await.unwrap().outcome()
    };
    for (shown, committed) in [(EXACT, EXACT + 1), (u64::MAX - 1, u64::MAX)] {
        assert_eq!(read(shown).await, Outcome::Miss(Fill::Stored));
        assert_eq!(remove_older(&node, 1, shown).await, 0, "{shown} is as new as {shown}");
        assert_eq!(remove_older(&node, 1, committed).await, 1, "{shown} is older than {committed}");

        let writing = node.cache.begin_write(1).await;
        remove_older(&node, 1, committed).await;
        remove_older(&node, 1, shown).await;
        let written = NewEntry::raw("x").version(shown);
        assert_eq!(writing.publish(written).await, Published::Invalidated, "{shown} is older than {committed}");
    }
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
