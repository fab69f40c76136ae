//! TTLs: nothing that the cache stores lives forever, or longer than its policy allows.

use std::time::Duration;

use cache::Policy;
use testkit::eventually;

use crate::support::{SOON, one_node};

#[tokio::test]
async fn expired_value_is_loaded_again() {
    let (_redis, node, row) = one_node([]).await;
    let brief = node.under(Policy::ttl(Duration::from_millis(100)));
    brief.fill(1, &row).await;
    row.commit();
    eventually("the end of its life", SOON, async || brief.read(1, &row).await.version() == Some(2)).await;
}
