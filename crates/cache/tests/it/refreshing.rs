//! A reader whose reply from Redis is late starts no refresh that another reader has finished.

use cache::Outcome;
use testkit::eventually;

use crate::both::refreshing::refreshing;
use crate::support::{Row, SOON, behind_proxy, calls};

/// Its refresh would be refused in the end, but its load would be wasted.
#[tokio::test]
async fn late_reader_does_not_repeat_a_finished_refresh() {
    let (redis, proxy, behind, node) = behind_proxy().await;
    let row = Row::new([]);
    let (_gate, load) = refreshing(&node, &row).await;
    let reads = calls(&redis, "get").await;
    proxy.delay_replies();
    let late = behind.start(1, &row.loader());
    eventually("the read", SOON, async || calls(&redis, "get").await > reads).await;
    load.finish();
    eventually("the refresh", SOON, async || node.read(1, &row).await.outcome() == Outcome::Hit).await;
    proxy.release_replies();
    let stale = late.value().await;
    assert_eq!((stale.outcome(), stale.version()), (Outcome::Stale, Some(1)));
    behind.settle().await;
    assert_eq!(row.loads(), 2, "the fill and one refresh");
}
