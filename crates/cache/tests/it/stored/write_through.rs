//! Write-through: in every order of the steps of writers and readers, the later write stays.

use std::time::Duration;

use cache::write_through::{Published, WriteLease};
use testkit::eventually;

use crate::support::{Node, Row, SOON, existing, one_node, patient, server};

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
    let redis = server().await;
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
