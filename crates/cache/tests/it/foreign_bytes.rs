//! Names of other programs under the keyspace's prefix.

use crate::support::filled_node;

#[tokio::test]
async fn name_that_is_not_text_does_not_end_a_listing_or_a_purge() {
    let (redis, node, _row) = filled_node([]).await;
    redis.cli(&["EVAL", r"redis.call('SET', 'shop:\255\254', 'x')", "0"]).await.unwrap();
    let page = node.client.entries(cache::inspect::EntryCursor::default(), 100).await.unwrap();
    assert_eq!(page.entries.len(), 1);
    assert_eq!(node.client.purge().await, cache::Invalidated::Done { entries: 1 });
}
