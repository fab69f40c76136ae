//! A loader whose value must not be stored: the readers receive it once, and neither an entry nor a lease remains.

use std::time::Duration;

use cache::outcome::Fill;
use cache::{Invalidated, Invalidation, NewEntry, Outcome};

use crate::support::{Loader, filled_node, one_node, two_nodes};

/// Loads like `load`, but declines the fill.
pub(crate) fn declining(load: Loader) -> Loader {
    std::sync::Arc::new(move || {
        let loading = load();
        Box::pin(async { loading.await.map(NewEntry::do_not_store) })
    })
}

/// No commit proves the value valid, so a reader that joined during the load cannot know whether it was read too early.
#[tokio::test]
async fn reader_that_joined_during_a_declined_load_gets_a_later_value() {
    let (_redis, node, row) = one_node([]).await;
    let (mut gate, load) = row.gated();
    let load = declining(load);
    let early = node.start(1, &load);
    let old = gate.began().await;
    row.commit();
    let done = node.client.invalidate(Invalidation::hard().key(node.key(1))).await;
    assert!(matches!(done, Invalidated::Done { .. }));
    let at_once = declining(row.loader());
    let late: Vec<_> = (0..20).map(|_| node.start(1, &at_once)).collect();
    node.settle().await;
    assert_eq!(row.loads(), 1, "the late readers have joined");
    old.finish();
    assert_eq!(early.value().await.version(), Some(1));
    for late in late {
        assert_eq!(late.value().await.version(), Some(2), "began after the acknowledged invalidation");
    }
    assert!(row.loads() < 20, "who came before a later load began shares it; there were {}", row.loads());
}

#[tokio::test]
async fn declined_refresh_keeps_the_stale_entry() {
    let (_redis, node, row) = filled_node([]).await;
    node.expire(1).await;
    row.commit();
    let (mut gate, load) = row.gated();
    let load = declining(load);
    assert_eq!(node.start(1, &load).value().await.outcome(), Outcome::Stale);
    let refresh = gate.began().await;
    refresh.finish();
    node.settle().await;
    for _ in 0..3 {
        let cached = node.start(1, &load).value().await;
        assert_eq!((cached.version(), cached.outcome()), (Some(1), Outcome::Stale));
        node.settle().await;
        assert!(gate.is_quiet(), "the loader has a rest for the lease time");
    }
}

/// The lease is released at once, so a peer does not wait until it expires.
#[tokio::test]
async fn waiting_process_loads_after_a_declined_load() {
    let (_redis, node, peer, row) = two_nodes([]).await;
    let (mut gate, load) = row.gated();
    let declined = node.start(1, &declining(load));
    let loading = gate.began().await;
    let waiting = peer.start(1, &row.loader());
    tokio::time::sleep(Duration::from_millis(30)).await;
    assert!(!waiting.is_over(), "the lease is held");
    loading.finish();
    assert_eq!(declined.value().await.outcome(), Outcome::Miss(Fill::Declined));
    // Leases of these nodes last longer than a read may take here.
    assert_eq!(waiting.value().await.outcome(), Outcome::Miss(Fill::Stored));
}
