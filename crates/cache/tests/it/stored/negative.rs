//! Negative entries: they live for a while, and are removed when the object is created.

use cache::Outcome;
use cache::inspect::EntryState;
use cache::outcome::Fill;

use crate::support::{LONG, Node, Row, number, patient, server, shelf};

fn nothing_on(shelf_id: u32) -> Row {
    let row = Row::default();
    row.set_tags([shelf(shelf_id)]);
    row
}

#[tokio::test]
async fn negative_entry_lives_until_its_key_or_tag_is_invalidated() {
    let redis = server().await;
    let (node, peer) = (Node::on(&redis).await, Node::on(&redis).await);
    for by_tag in [false, true] {
        let row = nothing_on(1);
        node.fill(1, &row).await;
        let hit = peer.read(1, &row).await;
        assert_eq!((hit.outcome(), hit.body()), (Outcome::Hit, None));
        assert_eq!(node.client.inspect(&node.key(1)).await.unwrap().unwrap().state, EntryState::Absent);
        row.commit();
        let removed = if by_tag { peer.remove_tag(shelf(1)).await } else { peer.remove(1).await };
        assert_eq!(removed, 1);
        let found = node.read(1, &row).await;
        assert_eq!((found.version(), found.outcome()), (Some(1), Outcome::Miss(Fill::Stored)));
        node.remove(1).await;
    }
}

/// The load found nothing, then the object was created and its tag invalidated, and only then the negative entry is
/// committed.
#[tokio::test]
async fn late_negative_fill_does_not_hide_a_created_object() {
    let redis = server().await;
    let (node, row) = (Node::on(&redis).await, nothing_on(1));
    let (reading, load) = node.loading(1, &row).await;
    row.commit();
    node.remove_tag(shelf(1)).await;
    load.finish();
    assert_eq!(reading.value().await.body(), None);
    assert_eq!(node.read(1, &row).await.version(), Some(1));
}

#[tokio::test]
async fn negative_entry_has_its_own_ttl() {
    let redis = server().await;
    let node = Node::on(&redis).await.under(patient().negative_ttl(LONG / 2));
    node.fill(1, &nothing_on(1)).await;
    node.fill(2, &Row::new([])).await;
    assert!((1..=30_000).contains(&number(&redis, &["PTTL", "shop:item:1"]).await));
    let found = number(&redis, &["PTTL", "shop:item:2"]).await;
    assert!((LONG / 2).as_millis() < found as u128, "{found}");
}
