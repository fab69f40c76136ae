//! Redis has reached `maxmemory` and evicts nothing: nothing new is stored, and everything else works.

use std::time::Duration;

use cache::inspect::EntryState;
use cache::outcome::Fill;
use cache::write_through::Published;
use cache::{CacheSettings, Invalidated, Outcome};
use testkit::{Redis, eventually};

use crate::support::{Node, Row, SOON, existing, filled_node, one_node, patient, redis, settings, shelf};

/// From now on, the server refuses to store anything.
async fn fill_up(redis: &Redis) {
    redis.cli(&["CONFIG", "SET", "maxmemory-policy", "noeviction"]).await.unwrap();
    redis.cli(&["CONFIG", "SET", "maxmemory", "1"]).await.unwrap();
    assert!(redis.cli(&["SET", "x", "y"]).await.unwrap_err().to_string().contains("OOM"), "it is not full");
}

async fn make_room(redis: &Redis) {
    redis.cli(&["CONFIG", "SET", "maxmemory", "0"]).await.unwrap();
}

#[tokio::test]
async fn reads_with_full_memory_work_and_store_nothing() {
    let (redis, node, row) = filled_node([]).await;
    fill_up(&redis).await;
    assert_eq!(node.read(1, &row).await.outcome(), Outcome::Hit);
    let missed = node.read(2, &row).await;
    assert!(matches!(missed.outcome(), Outcome::Bypass(_)), "{:?}", missed.outcome());
    assert_eq!(missed.version(), Some(1));
    assert_eq!(existing(&redis, &["shop:item:2"]).await, 0);
    make_room(&redis).await;
    node.fill(2, &row).await;
}

#[tokio::test]
async fn invalidations_work_with_full_memory() {
    let (redis, node, row) = one_node([shelf(1)]).await;
    for id in 1..=4 {
        node.fill(id, &row).await;
    }
    let (reading, loading) = node.loading(5, &row).await;
    fill_up(&redis).await;
    row.commit();
    assert_eq!(node.remove(1).await, 1);
    assert_eq!(node.expire(2).await, 1);
    assert_eq!(node.client.inspect(&node.key(2)).await.unwrap().unwrap().state, EntryState::Stale);
    assert_eq!(node.expire_tag(shelf(1)).await, 3);
    assert_eq!(node.remove_tag(shelf(1)).await, 3);
    make_room(&redis).await;
    loading.finish();
    assert_eq!(reading.value().await.outcome(), Outcome::Miss(Fill::Refused(cache::outcome::FillRefusal::Fenced)));
    for id in 1..=5 {
        assert_eq!(node.read(id, &row).await.version(), Some(2));
    }
}

/// A purge is what frees memory.
#[tokio::test]
async fn purge_works_with_full_memory() {
    let (redis, node, row) = filled_node([shelf(1)]).await;
    let (reading, loading) = node.loading(2, &row).await;
    fill_up(&redis).await;
    assert!(matches!(node.client.purge().await, Invalidated::Done { .. }));
    assert_eq!(existing(&redis, &["shop:item:1"]).await, 0);
    make_room(&redis).await;
    loading.finish();
    assert!(matches!(reading.value().await.outcome(), Outcome::Miss(Fill::Refused(_))));
}

/// The sets of evicted entries are what fills the memory.
#[tokio::test]
async fn sweep_works_with_full_memory() {
    let redis = redis().await;
    let settings = CacheSettings { sweep_rest: Duration::from_millis(10), ..settings(redis.url()) };
    let node = Node::with(&settings, patient()).await;
    node.fill(1, &Row::new([shelf(1)])).await;
    fill_up(&redis).await;
    redis.cli(&["DEL", "shop:item:1"]).await.unwrap();
    eventually("the sweep", SOON, async || existing(&redis, &["shop:~tag:shelf:1"]).await == 0).await;
}

#[tokio::test]
async fn fill_that_fails_with_full_memory_releases_its_lease() {
    let (redis, node, row) = one_node([]).await;
    let (reading, loading) = node.loading(1, &row).await;
    fill_up(&redis).await;
    loading.finish();
    let cached = reading.value().await;
    assert_eq!((cached.version(), cached.outcome()), (Some(1), Outcome::Miss(Fill::Failed)));
    make_room(&redis).await;
    // With the lease still held, this read would wait for longer than a test may take.
    assert_eq!(node.read(1, &row).await.outcome(), Outcome::Miss(Fill::Stored));
}

#[tokio::test]
async fn refresh_that_fails_with_full_memory_keeps_the_stale_value() {
    let (redis, node, row) = filled_node([]).await;
    node.expire(1).await;
    fill_up(&redis).await;
    for _ in 0..3 {
        assert_eq!(node.read(1, &row).await.outcome(), Outcome::Stale);
        node.settle().await;
    }
}

#[tokio::test]
async fn write_that_fails_with_full_memory_invalidates_the_entry() {
    let (redis, node, row) = one_node([]).await;
    for full_before in [true, false] {
        node.fill(1, &row).await;
        if full_before {
            fill_up(&redis).await;
        }
        let writing = node.cache.begin_write(1).await;
        row.commit();
        fill_up(&redis).await;
        assert_eq!(writing.publish(row.read()).await, Published::Invalidated);
        make_room(&redis).await;
        assert_eq!(node.cached(1).await, None);
    }
}
