//! What a memory keeps, for how long, and for whom.

use std::time::Duration;

use cache::memory::{Clock, Memory};
use cache::outcome::{Bypass, Fill};
use cache::{CacheClient, Keyspace, Near, Outcome, Policy};

use crate::support::{LONG, Node, Row, node, patient, settings, shelf};

const MINUTE: Duration = Duration::from_secs(60);

/// Returns a node on a memory whose time stands still.
fn node_out_of_time(policy: Policy) -> (Memory, Node, Row) {
    let memory = Memory::new().with_clock(Clock::manual());
    let node = Node::with(&memory, &settings()).under(policy);
    (memory, node, Row::new([shelf(1)]))
}

#[tokio::test]
async fn entry_is_fresh_then_stale_then_gone_by_the_injected_clock() {
    let policy = Policy::ttl(2 * MINUTE).soft_ttl(MINUTE).jitter(0.0);
    let (memory, node, row) = node_out_of_time(policy);
    let clock = memory.clock();
    node.fill(1, &row).await;
    clock.advance(MINUTE - Duration::from_millis(1));
    assert_eq!(node.cache.get(1).await.unwrap().outcome(), Outcome::Hit);
    clock.advance(Duration::from_millis(1));
    assert_eq!(node.cache.get(1).await.unwrap().outcome(), Outcome::Stale);
    assert_eq!(node.client.tag_size(&shelf(1)).await.unwrap(), 1);
    clock.advance(MINUTE);
    assert!(node.cache.get(1).await.is_none());
    assert_eq!(node.client.tag_size(&shelf(1)).await.unwrap(), 0, "a read removes an entry that has ended");
}

/// The lease of a process that was killed: nothing but its end releases it.
#[tokio::test]
async fn lease_of_a_lost_load_ends_by_the_injected_clock() {
    let (memory, node, row) = node_out_of_time(patient().lease(MINUTE));
    let (_reading, _load) = node.loading(1, &row).await;
    let peer = Node::with(&memory, &settings()).under(patient().wait(Duration::ZERO));
    assert_eq!(peer.read(1, &row).await.outcome(), Outcome::Bypass(Bypass::LeaseHeld));
    memory.clock().advance(MINUTE);
    assert_eq!(peer.read(1, &row).await.outcome(), Outcome::Miss(Fill::Stored));
}

#[tokio::test]
async fn entries_beyond_the_limit_replace_those_that_end_first() {
    let memory = Memory::new().with_limit(20_000);
    let node = Node::with(&memory, &settings());
    let row = Row::new([shelf(1)]);
    let short = node.under(Policy::ttl(LONG / 2));
    short.fill(1, &row).await;
    node.fill_many(2..200, &row).await;
    assert_eq!(node.cached(1).await, None, "it would have ended first");
    assert_eq!(node.cached(199).await, Some(1));
    let kept = node.client.tag_size(&shelf(1)).await.unwrap();
    assert!((20..70).contains(&kept), "{kept} entries are kept");
    assert_eq!(node.remove_tag(shelf(1)).await, kept, "what was removed is not counted any more");
}

#[tokio::test]
async fn value_that_is_larger_than_the_memory_replaces_nothing() {
    let memory = Memory::new().with_limit(20_000);
    let node = Node::with(&memory, &settings());
    let row = Row::new([]);
    node.fill(1, &row).await;
    let large = || async { Ok::<_, std::io::Error>("x".repeat(30_000)) };
    for _ in 0..2 {
        assert_eq!(node.cache.read(2, large).await.unwrap().outcome(), Outcome::Miss(Fill::TooLarge));
    }
    assert_eq!(node.cached(1).await, Some(1));
}

#[tokio::test]
async fn partitioned_keyspace_is_one_place_in_memory() {
    let memory = Memory::new();
    let client = CacheClient::in_memory(Keyspace::partitioned("shop", 4).unwrap(), &memory);
    let (node, row) = (Node::new(client, patient()), Row::new([shelf(1)]));
    node.fill_many(0..20, &row).await;
    assert_eq!(node.client.tag_size(&shelf(1)).await.unwrap(), 20);
    assert_eq!(node.expire_tag(shelf(1)).await, 20);
    let guard = node.client.guard(cache::Invalidation::hard().tag(shelf(1)), LONG).await;
    assert!(guard.release().await.guarded);
}

#[tokio::test]
async fn keyspaces_of_one_memory_do_not_meet() {
    let (memory, node) = node().await;
    let row = Row::new([shelf(1)]);
    node.fill(1, &row).await;
    let other = CacheClient::in_memory(Keyspace::new("other").unwrap(), &memory);
    let _ = other.invalidate_tag(shelf(1)).await;
    let _ = other.purge().await;
    assert_eq!(node.cached(1).await, Some(1));
}

#[tokio::test]
async fn near_cache_has_no_effect() {
    let (_memory, node) = node().await;
    let node = node.under(patient().near(Near::Strict(LONG)));
    let row = Row::new([]);
    node.fill(1, &row).await;
    assert_eq!(node.read(1, &row).await.outcome(), Outcome::Hit);
}

#[tokio::test]
async fn every_entry_is_listed_once_page_by_page() {
    let (_memory, node) = node().await;
    node.fill_many(1..500, &Row::new([])).await;
    let (mut cursor, mut names) = (cache::inspect::EntryCursor::default(), Vec::new());
    loop {
        let page = node.client.entries(cursor, 7).await.unwrap();
        assert!(page.entries.len() <= 7);
        names.extend(page.entries.into_iter().map(|entry| entry.key));
        match page.next_cursor {
            Some(next) => cursor = node.client.parse_cursor(&next).unwrap(),
            None => break,
        }
    }
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!((count, names.len()), (499, 499));
}
