//! The bulkhead: it limits the concurrent loads for any number of readers, with and without Redis.

use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cache::error::LoadError;
use cache::outcome::{Bypass, Fill};
use cache::{CacheSettings, NewEntry, Outcome};
use futures_util::future::join_all;
use tokio::time::sleep;

use crate::support::{DatabaseError, Loader, Node, Row, SOON, existing, node, patient, redis, settings};

/// Returns a loader that takes 5 ms, and the largest number of its loads that were in flight at once.
fn counting() -> (Arc<AtomicUsize>, Loader) {
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let seen = Arc::clone(&most);
    let load: Loader = Arc::new(move || {
        let (now, most) = (Arc::clone(&now), Arc::clone(&most));
        Box::pin(async move {
            most.fetch_max(now.fetch_add(1, SeqCst) + 1, SeqCst);
            sleep(Duration::from_millis(5)).await;
            now.fetch_sub(1, SeqCst);
            Ok::<_, DatabaseError>(NewEntry::raw("x"))
        })
    });
    (seen, load)
}

#[tokio::test]
async fn concurrent_loads_are_bounded_with_and_without_redis() {
    let redis = redis().await;
    let narrow = CacheSettings { max_loads: 4, load_queue: SOON, ..settings(redis.url()) };
    let node = Node::with(&narrow, patient()).await;
    for killed in [false, true] {
        if killed {
            redis.kill().await.unwrap();
        }
        let (most, load) = counting();
        let readings: Vec<_> = (0..60).map(|id| node.start(id, &load)).collect();
        for cached in join_all(readings.into_iter().map(|reading| reading.value())).await {
            match killed {
                true => assert_eq!(cached.outcome(), Outcome::Bypass(Bypass::RedisDown)),
                false => assert_eq!(cached.outcome(), Outcome::Miss(Fill::Stored)),
            }
        }
        assert_eq!(most.load(SeqCst), 4, "without Redis: {killed}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_load_of_a_key_runs_at_a_time_while_redis_is_down() {
    let (redis, node) = node().await;
    redis.kill().await.unwrap();
    testkit::eventually("the breaker to open", SOON, async || !node.client.health().is_in_use()).await;
    let (most, load) = counting();
    let readers = (0..40).map(|_| {
        let (node, load) = (node.clone(), Loader::clone(&load));
        async move {
            for _ in 0..10 {
                let cached = node.start(1, &load).value().await;
                assert_eq!(cached.outcome(), Outcome::Bypass(Bypass::RedisDown));
            }
        }
    });
    join_all(readers).await;
    assert_eq!(most.load(SeqCst), 1);
}

#[tokio::test]
async fn refreshes_count_as_loads_in_the_bulkhead() {
    let redis = redis().await;
    let narrow = CacheSettings { max_loads: 4, load_queue: SOON, ..settings(redis.url()) };
    let (node, row) = (Node::with(&narrow, patient()).await, Row::new([]));
    for id in 0..20 {
        node.fill(id, &row).await;
        node.expire(id).await;
    }
    let (most, load) = counting();
    for id in 0..20 {
        assert_eq!(node.start(id, &load).value().await.outcome(), Outcome::Stale);
    }
    let refreshed = async || join_all((0..20).map(|id| node.cached(id))).await.iter().all(Option::is_none);
    testkit::eventually("the refreshed entries, which have no version", SOON, refreshed).await;
    assert!(most.load(SeqCst) <= 4, "{} at once", most.load(SeqCst));
}

#[tokio::test]
async fn load_that_queues_for_too_long_is_shed_and_leaves_no_lease() {
    let redis = redis().await;
    let narrow = CacheSettings { max_loads: 1, load_queue: Duration::from_millis(30), ..settings(redis.url()) };
    let (node, row) = (Node::with(&narrow, patient()).await, Row::new([]));
    let (mut gate, load) = row.gated();
    let busy = node.start(1, &load);
    let loading = gate.began().await;
    assert!(matches!(node.start(2, &load).result().await.unwrap_err(), LoadError::Overloaded));
    assert_eq!(existing(&redis, &["shop:item:2"]).await, 0);
    loading.finish();
    assert_eq!(busy.value().await.outcome(), Outcome::Miss(Fill::Stored));
    assert_eq!(node.read(2, &row).await.outcome(), Outcome::Miss(Fill::Stored), "the permit is free again");
}

/// Otherwise an overloaded database would keep the cache from filling, which would keep the database overloaded.
#[tokio::test]
async fn load_that_queued_for_longer_than_its_lease_is_stored() {
    let redis = redis().await;
    let narrow = CacheSettings { max_loads: 1, load_queue: SOON, ..settings(redis.url()) };
    let (node, row) = (Node::with(&narrow, patient()).await, Row::new([]));
    let lease = Duration::from_secs(3);
    let brief = node.under(patient().lease(lease));
    let (busy, loading) = node.loading(1, &row).await;
    let queued = brief.start(2, &row.loader());
    sleep(lease + Duration::from_millis(200)).await;
    loading.finish();
    assert_eq!(busy.value().await.outcome(), Outcome::Miss(Fill::Stored));
    assert_eq!(queued.value().await.outcome(), Outcome::Miss(Fill::Stored), "its load was quick");
}

/// Returns a loader that reads the entries `inner` through the cache, and then returns a value of its own.
fn nested(node: &Node, inner: Range<u32>, load: &Loader) -> Loader {
    let (node, load) = (node.clone(), Loader::clone(load));
    Arc::new(move || {
        let readings: Vec<_> = inner.clone().map(|id| (node.cache.clone(), id, Loader::clone(&load))).collect();
        Box::pin(async move {
            let inner =
                readings.into_iter().map(|(cache, id, load)| async move { cache.read(id, move || load()).await });
            let inner = join_all(inner).await;
            assert!(inner.iter().all(Result::is_ok), "{inner:?}");
            Ok::<_, DatabaseError>(NewEntry::raw("outer"))
        })
    })
}

#[tokio::test]
async fn loads_that_wait_for_other_loads_do_not_block_them() {
    let redis = redis().await;
    let narrow = CacheSettings { max_loads: 2, load_queue: SOON, ..settings(redis.url()) };
    let node = Node::with(&narrow, patient()).await;
    for killed in [false, true] {
        if killed {
            redis.kill().await.unwrap();
        }
        let (most, load) = counting();
        let outer = (0..20).map(|id| node.start(1_000 + id, &nested(&node, 10 * id..10 * id + 3, &load)));
        for reading in outer.collect::<Vec<_>>() {
            reading.value().await;
        }
        assert!(most.load(SeqCst) <= 2, "{} at once, without Redis: {killed}", most.load(SeqCst));
    }
}

/// The nested read joins a load that another reader has started, and that waits for the only permit.
#[tokio::test]
async fn load_gives_its_permit_to_the_load_that_it_joins() {
    let redis = redis().await;
    let narrow = CacheSettings { max_loads: 1, load_queue: SOON, ..settings(redis.url()) };
    let (node, row) = (Node::with(&narrow, patient()).await, Row::new([]));
    let (mut gate, gated) = row.gated();
    let joined = Arc::new(Mutex::new(None));
    let outer: Loader = {
        let (node, gated, joined) = (node.clone(), Loader::clone(&gated), Arc::clone(&joined));
        Arc::new(move || {
            let (node, gated, joined) = (node.clone(), Loader::clone(&gated), Arc::clone(&joined));
            Box::pin(async move {
                *joined.lock().unwrap() = Some(node.start(1, &gated));
                node.settle().await;
                let inner = node.cache.read(1, move || gated()).await;
                Ok::<_, DatabaseError>(NewEntry::raw("outer").version(inner.unwrap().version().unwrap()))
            })
        })
    };
    let reading = node.start(2, &outer);
    gate.began().await.finish();
    assert_eq!(reading.value().await.version(), Some(1));
    let other = joined.lock().unwrap().take().unwrap();
    assert_eq!(other.value().await.outcome(), Outcome::Miss(Fill::Stored));
    assert!(gate.is_quiet(), "one load served both readers");
}
