//! A load that fails or panics: all waiting readers receive the error, and the next load is not blocked.

use cache::Outcome;
use cache::outcome::Fill;

use crate::support::{DatabaseError, existing, two_nodes};

#[tokio::test]
async fn load_error_reaches_all_readers_and_the_next_read_loads_at_once() {
    let (redis, node, peer, row) = two_nodes([]).await;
    let (mut gate, load) = row.gated();
    // Both have joined before the load begins.
    let (first, joiner) = (node.start(1, &load), node.start(1, &load));
    gate.began().await.fail();
    for reading in [first, joiner] {
        let error = reading.result().await.unwrap_err();
        assert_eq!(error.loader_error::<DatabaseError>(), Some(&DatabaseError));
    }
    assert_eq!(row.loads(), 1);
    assert_eq!(existing(&redis, &["shop:item:1"]).await, 0, "the lease is given back");
    assert_eq!(peer.read(1, &row).await.outcome(), Outcome::Miss(Fill::Stored));
}
