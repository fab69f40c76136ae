//! Readers of one process share a load, but no reader receives a value that was read too early for it.

use cache::Outcome;
use cache::outcome::Fill;
use futures_util::future::join_all;

use crate::support::{one_node, shelf};

#[tokio::test]
async fn many_readers_share_one_load() {
    let (_redis, node, row) = one_node([]).await;
    let (mut gate, load) = row.gated();
    let first = node.start(1, &load);
    let load_one = gate.began().await;
    let others: Vec<_> = (0..200).map(|_| node.start(1, &load)).collect();
    node.settle().await;
    load_one.finish();
    assert_eq!(first.value().await.outcome(), Outcome::Miss(Fill::Stored));
    for other in others {
        let cached = other.value().await;
        // Readers that joined during the load may take the value, because the commit proves it valid.
        assert_eq!((cached.version(), cached.outcome()), (Some(1), Outcome::Collapsed));
    }
    assert_eq!(row.loads(), 1);
}

#[tokio::test]
async fn late_joiner_does_not_take_a_value_read_before_it_joined() {
    for by_tag in [false, true] {
        let (_redis, node, row) = one_node([shelf(1)]).await;
        let (mut gate, load) = row.gated();
        let early = node.start(1, &load);
        let old = gate.began().await;
        row.commit();
        match by_tag {
            true => node.remove_tag(shelf(1)).await,
            false => node.remove(1).await,
        };
        let late = node.start(1, &load);
        node.settle().await;
        assert!(gate.is_quiet(), "the late reader has joined");
        old.finish();
        assert_eq!(early.value().await.version(), Some(1));
        gate.began().await.finish();
        assert_eq!(late.value().await.version(), Some(2), "began after the acknowledged invalidation");
    }
}

#[tokio::test]
async fn dropped_read_does_not_end_the_load() {
    let (_redis, node, row) = one_node([]).await;
    let (reading, under_way) = node.loading(1, &row).await;
    reading.hang_up();
    node.settle().await;
    under_way.finish();
    node.until_cached(1, 1).await;
    assert_eq!(row.loads(), 1);
}

#[tokio::test]
async fn loads_of_different_entries_do_not_wait_for_each_other() {
    let (_redis, node, row) = one_node([]).await;
    let (mut gate, load) = row.gated();
    let readings: Vec<_> = (0..20).map(|id| node.start(id, &load)).collect();
    let mut loads = Vec::new();
    for _ in 0..20 {
        loads.push(gate.began().await);
    }
    loads.into_iter().rev().for_each(|load| load.finish());
    for cached in join_all(readings.into_iter().map(|reading| reading.value())).await {
        assert_eq!(cached.outcome(), Outcome::Miss(Fill::Stored));
    }
}
