//! The lifetime of an entry, as its loader sets it.

use std::time::Duration;

use cache::NewEntry;

use crate::support::{DatabaseError, node, number};

#[tokio::test]
async fn loader_shortens_the_lifetime_of_its_entry() {
    let (redis, node) = node().await;
    let brief = Duration::from_secs(30);
    let load = move || async move { Ok::<_, DatabaseError>(NewEntry::raw("x").ttl_at_most(brief)) };
    let stored = node.cache.read(1, load).await.unwrap();
    assert!(stored.hard_ttl_ms() <= 30_000 && stored.ttl_ms() <= 30_000, "{stored:?}");
    let left = number(&redis, &["PTTL", "shop:item:1"]).await;
    assert!((1..=30_000).contains(&left), "{left}");
}
