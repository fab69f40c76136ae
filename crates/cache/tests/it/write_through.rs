//! Write-through: in every order of the steps of writers and readers, the later write stays.

use std::time::Duration;

use cache::outcome::{Fill, FillRefusal};
use cache::write_through::{Published, WriteLease};
use cache::{Invalidation, Outcome};
use futures_util::future::poll_immediate;
use testkit::eventually;

use crate::support::{LONG, Node, Row, SOON, existing, filled_node, one_node, patient, redis, shelf, two_nodes};

/// The steps of two writers of one row and of a concurrent reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// Takes over the entry's lease, under the row lock.
    Begin(usize),
    Commit(usize),
    Rollback(usize),
    Publish(usize),
    Load,
    Fill,
}

/// Writer 1 waits for the row lock until writer 0 has committed or rolled back. Any other order is allowed.
fn schedules() -> Vec<Vec<Step>> {
    use Step::{Begin, Commit, Fill, Load, Publish, Rollback};
    let both = [[Commit(0), Commit(1)], [Rollback(0), Commit(1)], [Commit(0), Rollback(1)]];
    let mut all = Vec::new();
    for [first, second] in both {
        for published in 2..=5 {
            let mut writers = vec![Begin(0), first, Begin(1), second, Publish(1)];
            writers.insert(published, Publish(0));
            for load in 0..=writers.len() {
                for fill in load..=writers.len() {
                    let mut steps = writers.clone();
                    steps.insert(fill, Fill);
                    steps.insert(load, Load);
                    all.push(steps);
                }
            }
        }
    }
    all
}

/// Runs `steps` on entry `id`; returns the version cached in the end, and the current version of the row.
async fn run(steps: &[Step], id: u32, writers: &[Node; 2], reader: &Node) -> (Option<u64>, u64) {
    let row = Row::new([]);
    writers[0].fill(id, &row).await;
    let mut leases: [Option<WriteLease<String>>; 2] = [None, None];
    let mut wrote = [None, None];
    let (mut gate, load) = row.gated();
    let (mut reading, mut loading) = (None, None);
    for step in steps {
        match *step {
            Step::Begin(writer) => leases[writer] = Some(writers[writer].cache.begin_write(id).await),
            Step::Commit(writer) => {
                row.commit();
                wrote[writer] = Some(row.read());
            }
            Step::Rollback(_) => {}
            Step::Publish(writer) => match (leases[writer].take().unwrap(), wrote[writer].take()) {
                (lease, Some(loaded)) => {
                    let published = lease.publish(loaded).await;
                    assert_ne!(published, Published::Deferred);
                }
                (lease, None) => {
                    lease.abandon().await;
                    writers[writer].settle().await;
                }
            },
            Step::Load => {
                // A hit needs no load; the reader does not wait for a lease that a writer holds.
                let begun = reader.start(id, &load);
                reader.settle().await;
                if !begun.is_over() {
                    loading = Some(gate.began().await);
                }
                reading = Some(begun);
            }
            Step::Fill => {
                if let Some(loading) = loading.take() {
                    loading.finish();
                }
                reading.take().unwrap().value().await;
            }
        }
    }
    (reader.cached(id).await, row.version())
}

#[tokio::test]
async fn two_writers_and_a_reader_never_leave_the_earlier_value() {
    let redis = redis().await;
    let writers = [Node::on(&redis).await, Node::on(&redis).await];
    let reader = Node::on(&redis).await.under(patient().wait(Duration::ZERO));
    let mut stored = 0;
    for (id, steps) in (1..).zip(schedules()) {
        let (cached, truth) = run(&steps, id, &writers, &reader).await;
        assert!(cached.is_none() || cached == Some(truth), "{cached:?} cached, {truth} true after {steps:?}");
        stored += u32::from(cached.is_some());
    }
    assert!(stored > 0, "nothing was ever stored: the test proves nothing");
}

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
async fn publish_after_the_lease_expired_invalidates_the_entry() {
    let (redis, node, row) = one_node([]).await;
    let hasty = node.under(patient().lease(Duration::from_millis(50)));
    for reader_in_between in [false, true] {
        let writing = hasty.cache.begin_write(1).await;
        eventually("the end of the lease", SOON, async || existing(&redis, &["shop:item:1"]).await == 0).await;
        if reader_in_between {
            node.fill(1, &row).await;
        }
        row.commit();
        assert_eq!(writing.publish(row.read()).await, Published::Invalidated);
        assert_eq!(node.cached(1).await, None);
    }
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

#[tokio::test]
async fn write_without_redis_is_deferred_and_invalidated_later() {
    let (redis, node, row) = filled_node([]).await;
    redis.kill().await.unwrap();
    let writing = node.cache.begin_write(1).await;
    row.commit();
    assert_eq!(writing.publish(row.read()).await, Published::Deferred);
    assert_eq!(node.read(1, &row).await.version(), Some(2));
    redis.restart().await.unwrap();
    eventually("the repair", SOON, async || node.client.pending_invalidations() == 0).await;
    assert_eq!(node.read(1, &row).await.version(), Some(2));
}
