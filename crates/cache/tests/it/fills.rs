//! A fill that arrives after Redis has lost everything.

use cache::outcome::FillRefusal;

use crate::both::fills::{reads_anew, refused};
use crate::support::{one_node, shelf};

#[tokio::test]
async fn late_fill_is_refused_after_flushall() {
    let (redis, node, row) = one_node([shelf(1)]).await;
    let (reading, load) = node.loading(1, &row).await;
    redis.cli(&["FLUSHALL"]).await.unwrap();
    row.commit();
    node.remove_tag(shelf(1)).await;
    load.finish();
    refused(&reading.value().await, FillRefusal::LeaseLost);
    reads_anew(&node, 1, &row).await;
}
