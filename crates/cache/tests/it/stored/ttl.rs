//! TTLs: the jitter never makes an entry live longer than its policy allows.

use std::time::Duration;

use cache::Policy;

use crate::support::{Row, node};

#[tokio::test]
async fn jitter_spreads_ttls_and_never_lengthens_them() {
    let (_server, node) = node().await;
    let policy = Policy::ttl(Duration::from_secs(100)).soft_ttl(Duration::from_secs(50)).jitter(0.4);
    let (node, row) = (node.under(policy), Row::new([]));
    let mut hard = Vec::new();
    for id in 0..100 {
        node.fill(id, &row).await;
        let entry = node.client.inspect(&node.key(id)).await.unwrap().unwrap();
        assert!(entry.expires_in_ms as u64 <= entry.hard_ttl_ms.unwrap(), "Redis keeps it no longer than it says");
        assert!(entry.soft_ttl_ms.unwrap().abs_diff(entry.hard_ttl_ms.unwrap() / 2) <= 1, "both by the same share");
        hard.push(entry.hard_ttl_ms.unwrap());
    }
    assert!(hard.iter().all(|ttl| (60_000..=100_000).contains(ttl)), "{hard:?}");
    assert!(hard.iter().any(|ttl| *ttl < 75_000) && hard.iter().any(|ttl| *ttl > 85_000), "not spread: {hard:?}");
}
