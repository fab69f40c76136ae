//! Soft invalidation: the old value is served while one refresh loads the new one, and never as a fresh value.

use cache::Outcome;
use cache::inspect::EntryState;
use cache::outcome::Fill;

use crate::support::{Row, node, one_node, shelf};

#[tokio::test]
async fn softly_invalidated_entry_can_still_be_removed() {
    let (_redis, node, row) = one_node([shelf(1)]).await;
    for by_tag in [false, true] {
        node.fill(1, &row).await;
        node.expire(1).await;
        row.commit();
        let removed = if by_tag { node.remove_tag(shelf(1)).await } else { node.remove(1).await };
        assert_eq!(removed, 1);
        let cached = node.read(1, &row).await;
        assert_eq!((cached.version(), cached.outcome()), (Some(row.version()), Outcome::Miss(Fill::Stored)));
        node.remove(1).await;
    }
}

#[tokio::test]
async fn soft_invalidation_of_a_tag_expires_only_its_entries() {
    let (_redis, node) = node().await;
    let (on_the_shelf, elsewhere) = (Row::new([shelf(1)]), Row::new([shelf(2)]));
    let many = 1_500;
    node.fill_many(0..many, &on_the_shelf).await;
    node.fill(many, &elsewhere).await;
    assert_eq!(node.expire_tag(shelf(1)).await, u64::from(many));
    for id in (0..=many).step_by(100) {
        let state = node.client.inspect(&node.key(id)).await.unwrap().unwrap().state;
        assert_eq!(state, if id < many { EntryState::Stale } else { EntryState::Fresh }, "{id}");
    }
}
