//! Write guards: from before the COMMIT of a write until the guard is released, no fill of an entry that the write
//! outdates is stored.
//!
//! Each test isolates one defence: without it in the scripts, the value from before the COMMIT is stored.

use cache::outcome::{Fill, FillRefusal};
use cache::write_guard::{Released, WriteGuard};
use cache::write_through::Published;
use cache::{Cached, Invalidation, Outcome};

use crate::support::{LONG, Node, filled_node, one_node, shelf, two_nodes};

pub(crate) const GUARDED: Outcome = Outcome::Miss(Fill::Refused(FillRefusal::Guarded));

pub(crate) const STORED: Outcome = Outcome::Miss(Fill::Stored);

impl Node {
    pub(crate) fn of_key(&self, id: u32) -> Invalidation {
        Invalidation::hard().key(self.key(id))
    }

    pub(crate) async fn guard(&self, names: Invalidation) -> WriteGuard {
        let guard = self.client.guard(names, LONG).await;
        assert!(guard.is_in_place(), "Redis answers");
        guard
    }
}

/// Releases a guard that was in place until then.
pub(crate) async fn release(guard: WriteGuard) {
    let Released { invalidated, guarded } = guard.release().await;
    assert!(guarded, "the guard did not last");
    assert!(invalidated.acknowledged().is_ok(), "Redis answers");
}

pub(crate) fn assert_read(cached: &Cached<String>, version: u64, outcome: Outcome) {
    assert_eq!((cached.version(), cached.outcome()), (Some(version), outcome));
}

#[tokio::test]
async fn guard_of_a_tag_refuses_entries_that_carry_it_and_no_others() {
    let (_redis, node, row) = one_node([shelf(1), shelf(2)]).await;
    node.fill(1, &row).await;
    let guard = node.guard(Invalidation::hard().tag(shelf(2))).await;
    assert_eq!(node.cached(1).await, None);
    for id in [1, 2] {
        assert_read(&node.read(id, &row).await, 1, GUARDED);
    }
    row.set_tags([shelf(1)]);
    assert_read(&node.read(3, &row).await, 1, STORED);
    row.set_tags((0..600).map(|id| shelf(1_000 + id)).chain([shelf(2)]));
    assert_read(&node.read(4, &row).await, 1, GUARDED);
    release(guard).await;
    assert_read(&node.read(1, &row).await, 1, STORED);
}

#[tokio::test]
async fn guard_of_a_key_refuses_this_entry_only() {
    let (_redis, node, row) = one_node([shelf(1)]).await;
    let guard = node.guard(node.of_key(1)).await;
    for id in [11, 2] {
        assert_read(&node.read(id, &row).await, 1, STORED);
    }
    assert_read(&node.read(1, &row).await, 1, GUARDED);
    // A tag and a key with the same text are different names.
    row.set_tags([cache::Tag::new("item", 1)]);
    assert_read(&node.read(3, &row).await, 1, STORED);
    release(guard).await;
}

/// The load has read the row before COMMIT, and ends after the release of the guard: only the invalidation after COMMIT
/// refuses it.
#[tokio::test]
async fn load_from_before_commit_is_refused_after_the_release() {
    let (_redis, node, row) = one_node([shelf(1)]).await;
    for (id, names) in [(1, node.of_key(1)), (2, Invalidation::hard().tag(shelf(1)))] {
        let before = row.version();
        let guard = node.guard(names).await;
        let (reading, load) = node.loading(id, &row).await;
        row.commit();
        release(guard).await;
        load.finish();
        let cached = reading.value().await;
        assert_eq!(cached.version(), Some(before));
        assert!(matches!(cached.outcome(), Outcome::Miss(Fill::Refused(_))), "{:?}", cached.outcome());
        assert_read(&node.read(id, &row).await, before + 1, STORED);
    }
}

/// A load that began before the guard is refused by the invalidation that places the guard.
#[tokio::test]
async fn load_from_before_the_guard_is_refused_during_the_guard() {
    let (_redis, node, row) = one_node([shelf(1)]).await;
    for (id, names) in [(1, node.of_key(1)), (2, Invalidation::hard().tag(shelf(1)))] {
        let (reading, load) = node.loading(id, &row).await;
        let guard = node.guard(names).await;
        load.finish();
        assert!(matches!(reading.value().await.outcome(), Outcome::Miss(Fill::Refused(_))));
        release(guard).await;
    }
}

#[tokio::test]
async fn soft_invalidation_under_a_guard_removes_entries() {
    let (_redis, node, row) = filled_node([]).await;
    let guard = node.guard(Invalidation::soft().key(node.key(1))).await;
    assert_eq!(node.cached(1).await, None, "a stale value would be served after COMMIT");
    release(guard).await;
    assert_read(&node.read(1, &row).await, 1, STORED);
}

/// A refresh holds no lease: its grant is the token of the value that it replaces.
#[tokio::test]
async fn refresh_from_before_the_guard_stores_nothing() {
    let (_redis, node, row) = filled_node([shelf(1)]).await;
    node.expire(1).await;
    let (mut gate, load) = row.gated();
    let stale = node.start(1, &load);
    let refreshing = gate.began().await;
    assert_read(&stale.value().await, 1, Outcome::Stale);
    let guard = node.guard(Invalidation::hard().tag(shelf(1))).await;
    row.commit();
    refreshing.finish();
    assert_read(&node.read(1, &row).await, 2, GUARDED);
    release(guard).await;
    assert_read(&node.read(1, &row).await, 2, STORED);
}

/// A write-through is about one row. Another writer may guard the same entry because of other data that the entry
/// contains.
#[tokio::test]
async fn write_through_under_the_guard_of_another_writer_stores_nothing() {
    let (_redis, node, peer, row) = two_nodes([shelf(1)]).await;
    for (id, names) in [(1, peer.of_key(1)), (2, Invalidation::hard().tag(shelf(1)))] {
        let guard = peer.guard(names).await;
        let writing = node.cache.begin_write(id).await;
        let written = row.read();
        row.commit();
        assert_eq!(writing.publish(written).await, Published::Invalidated);
        release(guard).await;
        let next = node.cache.begin_write(id).await;
        row.commit();
        assert_eq!(next.publish(row.read()).await, Published::Stored);
    }
}

/// Readers of one process share loads, but a value whose fill is refused is valid only for readers that joined before
/// the load read it.
#[tokio::test]
async fn reader_after_commit_does_not_take_a_load_from_before_it() {
    let (_redis, node, row) = one_node([]).await;
    let guard = node.guard(node.of_key(1)).await;
    let (mut gate, load) = row.gated();
    let early = node.start(1, &load);
    let old = gate.began().await;
    row.commit();
    let late = node.start(1, &load);
    node.settle().await;
    old.finish();
    assert_read(&early.value().await, 1, GUARDED);
    gate.began().await.finish();
    assert_eq!(late.value().await.version(), Some(2));
    release(guard).await;
}
