//! Negative entries: they live for a while, and are removed when the object is created.

use cache::Outcome;
use cache::write_through::Published;

use crate::support::{Row, filled_node};

#[tokio::test]
async fn deletion_can_be_written_through() {
    let (_redis, node, row) = filled_node([]).await;
    let writing = node.cache.begin_write(1).await;
    assert_eq!(writing.publish(Row::default().read()).await, Published::Stored);
    let hit = node.read(1, &row).await;
    assert_eq!((hit.outcome(), hit.body()), (Outcome::Hit, None));
}
