//! Tag sets: they are complete and bounded, and are emptied in small steps.

use cache::Outcome;
use cache::outcome::Fill;

use crate::support::{filled_node, one_node, shelf};

#[tokio::test]
async fn entry_with_changed_tags_is_removed_by_its_new_tags() {
    let (_redis, node, row) = filled_node([shelf(1)]).await;
    node.expire(1).await;
    row.set_tags([shelf(2)]);
    row.commit();
    node.read(1, &row).await;
    node.until_cached(1, 2).await;
    row.commit();
    assert_eq!(node.remove_tag(shelf(2)).await, 1);
    assert_eq!(node.read(1, &row).await.version(), Some(3));
}

/// The same script call makes the value readable and removable.
#[tokio::test]
async fn value_is_registered_before_it_is_readable() {
    let (_redis, node, row) = one_node([shelf(1), shelf(2)]).await;
    for _ in 0..50 {
        assert_eq!(node.read(1, &row).await.outcome(), Outcome::Miss(Fill::Stored));
        assert_eq!(node.remove_tag(shelf(2)).await, 1);
    }
}
