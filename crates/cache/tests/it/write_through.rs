//! Write-through without Redis.

use cache::write_through::Published;
use testkit::eventually;

use crate::support::{SOON, filled_node};

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
