//! Tag sets: they are complete and bounded, and are emptied in small steps.

use std::ops::Range;
use std::time::Duration;

use cache::{CacheSettings, Outcome, Policy};
use futures_util::future::join_all;
use testkit::{Redis, eventually};

use crate::support::{Node, Row, SOON, behind_proxy, calls, existing, node, number, one_node, redis, settings, shelf};

async fn members(redis: &Redis, set: &str) -> i64 {
    number(redis, &["SCARD", set]).await
}

#[tokio::test]
async fn tag_of_thousands_of_entries_is_removed_in_bounded_steps() {
    let (redis, node) = node().await;
    let (here, elsewhere) = (Row::new([shelf(1), shelf(3)]), Row::new([shelf(2), shelf(3)]));
    node.fill_many(0..5_000, &here).await;
    node.fill_many(5_000..5_010, &elsewhere).await;
    redis.cli(&["CONFIG", "RESETSTAT"]).await.unwrap();
    assert_eq!(node.remove_tag(shelf(1)).await, 5_000);
    let steps = calls(&redis, "evalsha").await;
    assert!((40..=50).contains(&steps), "{steps} script calls for 5,000 entries");
    let others: Vec<_> = (5_000..5_010).map(|id| format!("shop:item:{id}")).collect();
    assert_eq!(existing(&redis, &others.iter().map(String::as_str).collect::<Vec<_>>()).await, 10);
    // What is left: the ten entries, the sets that name them, the registry and the fence table.
    assert_eq!(existing(&redis, &["shop:~tag:shelf:1", "shop:~drain:shelf:1"]).await, 0);
    assert_eq!(number(&redis, &["DBSIZE"]).await, 10 + 4);
}

#[tokio::test]
async fn fills_remove_members_of_missing_entries_from_tag_sets() {
    let (redis, node, row) = one_node([shelf(1)]).await;
    node.fill_many(0..200, &row).await;
    // As when entries expire or are evicted: the set is not updated.
    redis.cli(&["EVAL", "for id = 0, 199 do redis.call('DEL', 'shop:item:' .. id) end", "0"]).await.unwrap();
    assert_eq!(members(&redis, "shop:~tag:shelf:1").await, 200);
    let mut fills = 0;
    while members(&redis, "shop:~tag:shelf:1").await > 1 {
        node.remove(1_000).await;
        node.fill(1_000, &row).await;
        fills += 1;
        assert!(fills < 1_000, "the set does not shrink");
    }
    assert_eq!(node.remove_tag(shelf(1)).await, 1, "the living one is still registered");
}

/// A tag for each entry, and nothing is ever read or invalidated again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "it takes minutes; `make test-slow`"]
async fn million_dead_tags_leave_no_memory_behind() {
    const TAGS: u32 = 1_000_000;
    let redis = redis().await;
    let settings = CacheSettings { sweep_rest: Duration::from_secs(1), ..settings(redis.url()) };
    let node = Node::with(&settings, Policy::ttl(Duration::from_secs(1))).await;
    let fill = async |tags: Range<u32>| {
        let tags: Vec<u32> = tags.collect();
        let (mut most_keys, mut most_memory) = (0, 0);
        for some in tags.chunks(500) {
            join_all(some.iter().map(async |tag| node.fill(*tag, &Row::new([shelf(*tag)])).await)).await;
            most_keys = most_keys.max(number(&redis, &["DBSIZE"]).await);
            most_memory = most_memory.max(used_memory(&redis).await);
        }
        (most_keys, most_memory)
    };
    let is_swept = async || number(&redis, &["DBSIZE"]).await <= 1;
    // The first tags size the registry and the buffers of the connections.
    let (keys_of_few, memory_of_few) = fill(0..TAGS / 10).await;
    eventually("the sweep", SOON, is_swept).await;
    let before = used_memory(&redis).await;

    let (keys, memory) = fill(TAGS / 10..TAGS + TAGS / 10).await;
    eventually("the sweep", SOON, is_swept).await;
    let after = used_memory(&redis).await;
    println!(
        "at most {keys_of_few}, then {keys} keys; {memory_of_few}, then {memory} bytes; at rest {before}, then {after}"
    );
    assert!(memory < 2 * memory_of_few, "{memory_of_few} bytes with a tenth of the tags, and then {memory}");
    assert!(after < before + 1_000_000, "{before} bytes with a tenth of the tags, and then {after}");
}

async fn used_memory(redis: &Redis) -> i64 {
    let info = redis.cli(&["INFO", "memory"]).await.unwrap();
    info.lines().find_map(|line| line.strip_prefix("used_memory:")?.trim().parse().ok()).unwrap()
}

/// An entry of the same tag is filled while an invalidation of the tag is in flight: it is newer than the fence.
#[tokio::test]
async fn entries_filled_during_an_invalidation_of_their_tag_stay() {
    let (redis, proxy, behind, node) = behind_proxy().await;
    let row = Row::new([shelf(1)]);
    node.fill_many(0..1_000, &row).await;
    // From now on, Redis knows the script and need not be sent its text.
    node.remove_tag(shelf(9)).await;
    proxy.delay_replies();
    let removing = tokio::spawn({
        let behind = behind.clone();
        async move { behind.remove_tag(shelf(1)).await }
    });
    eventually("the first step", SOON, async || members(&redis, "shop:~drain:shelf:1").await == 1_000 - 128).await;
    row.commit();
    node.fill(5_000, &row).await;
    proxy.release_replies();
    assert_eq!(removing.await.unwrap(), 1_000);
    let cached = node.read(5_000, &row).await;
    assert_eq!((cached.version(), cached.outcome()), (Some(2), Outcome::Hit));
    assert_eq!(node.remove_tag(shelf(1)).await, 1);
}

/// One invalidation has moved the set aside and is delayed; the other must not report `Done` before all entries are
/// gone.
#[tokio::test]
async fn concurrent_tag_invalidations_each_end_with_all_entries_gone() {
    let (redis, proxy, behind, node) = behind_proxy().await;
    let row = Row::new([shelf(1)]);
    node.fill_many(0..1_200, &row).await;
    // From now on, Redis knows the script and need not be sent its text.
    node.remove_tag(shelf(9)).await;
    proxy.delay_replies();
    let held_up = tokio::spawn({
        let behind = behind.clone();
        async move { behind.remove_tag(shelf(1)).await }
    });
    eventually("the first step", SOON, async || members(&redis, "shop:~drain:shelf:1").await == 1_200 - 128).await;
    assert_eq!(node.remove_tag(shelf(1)).await, 1_200 - 128);
    for id in (0..1_200).step_by(50) {
        assert_eq!(node.cached(id).await, None);
    }
    proxy.release_replies();
    assert_eq!(held_up.await.unwrap(), 128);
}
