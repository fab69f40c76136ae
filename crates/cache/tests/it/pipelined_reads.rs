//! Reads are pipelined: those that wait at the same time are sent together; each receives its own value, and none an older
//! one.

use std::sync::Arc;
use std::time::Duration;

use cache::outcome::Bypass;
use cache::{CacheSettings, NewEntry, Outcome};
use futures_util::future::join_all;
use testkit::{Proxy, eventually};
use tokio::task::yield_now;

use crate::support::{
    DatabaseError, LONG, Loader, Node, Row, SOON, behind_proxy, calls, connections, node, patient, redis, settings,
    through,
};

#[tokio::test]
async fn concurrent_reads_each_receive_their_own_value() {
    let (redis, node) = node().await;
    let own: Vec<Loader> = (0..400)
        .map(|id| -> Loader {
            Arc::new(move || {
                Box::pin(async move { Ok::<_, DatabaseError>(NewEntry::raw(format!("{id}")).version(id)) })
            })
        })
        .collect();
    let mut sent = 0;
    for outcome in ["miss", "hit"] {
        sent = received(&redis).await;
        let readings: Vec<_> = (0..).zip(&own).map(|(id, load)| node.start(id, load)).collect();
        for (id, cached) in (0..).zip(join_all(readings.into_iter().map(|reading| reading.value())).await) {
            assert_eq!((cached.version(), cached.outcome().as_str()), (Some(id), outcome));
        }
    }
    let sent = received(&redis).await - sent;
    assert!(sent < 100, "400 reads were sent in {sent} parts: they are not pipelined");
}

/// Returns how often Redis has received something on any connection.
async fn received(redis: &testkit::Redis) -> u64 {
    let stats = redis.cli(&["INFO", "stats"]).await.unwrap();
    let reads = stats.lines().find_map(|line| line.strip_prefix("total_reads_processed:"));
    reads.unwrap().trim().parse().unwrap()
}

#[tokio::test]
async fn read_does_not_share_the_reply_to_an_earlier_command() {
    let (redis, proxy, behind, node) = behind_proxy().await;
    let row = Row::new([]);
    node.fill(1, &row).await;
    let reads = calls(&redis, "get").await;
    proxy.delay_replies();
    let early = behind.start(1, &row.loader());
    eventually("the early read", SOON, async || calls(&redis, "get").await > reads).await;
    row.commit();
    node.remove(1).await;
    let late: Vec<_> = (0..3).map(|_| behind.start(1, &row.loader())).collect();
    yield_now().await;
    proxy.release_replies();
    assert_eq!(early.value().await.version(), Some(1));
    for late in late {
        assert_eq!(late.value().await.version(), Some(2), "began after the acknowledged invalidation");
    }
}

#[tokio::test]
async fn dropped_read_does_not_block_other_reads() {
    let (redis, proxy, behind, node) = behind_proxy().await;
    let row = Row::new([]);
    node.fill_many(0..20, &row).await;
    for hang_ups in [1, 5] {
        let reads = calls(&redis, "get").await;
        proxy.delay_replies();
        let mut readings: Vec<_> = (0..20).map(|id| behind.start(id, &row.loader())).collect();
        eventually("the first read", SOON, async || calls(&redis, "get").await > reads).await;
        readings.drain(..hang_ups).for_each(|reading| reading.hang_up());
        tokio::time::sleep(Duration::from_millis(10)).await;
        proxy.release_replies();
        for reading in readings {
            assert_eq!(reading.value().await.outcome(), Outcome::Hit);
        }
        assert_eq!(behind.cached(0).await, Some(1), "and the next one need not wait either");
    }
}

/// The server does not read any more, and the buffers of the connection are full.
#[tokio::test]
async fn read_that_cannot_be_sent_fails_in_time() {
    let (redis, node) = node().await;
    let row = Row::new([]);
    node.fill(1, &row).await;
    assert_eq!(node.cached(1).await, Some(1));
    redis.pause();
    // Twice what the kernel keeps for a sender by default. A debug build needs seconds for a much longer key on a busy machine.
    let large = "x".repeat(8 * 1024 * 1024);
    let read = tokio::time::timeout(LONG, node.cache.get(large)).await;
    redis.resume();
    assert!(read.expect("the read hangs").is_none());
}

/// A server that does not answer one batch in time has failed once, and not once for each of its commands.
#[tokio::test]
async fn late_batch_counts_as_one_failure() {
    let redis = redis().await;
    let proxy = Proxy::to(redis.port()).await.unwrap();
    // The probe fails, too, about once a second.
    let impatient = CacheSettings {
        command_timeout: Duration::from_millis(500),
        breaker_threshold: 20,
        ..settings(through(&proxy))
    };
    let node = Node::with(&impatient, patient()).await;
    let load = async |ids: Vec<u32>| {
        Ok::<_, DatabaseError>(ids.into_iter().map(|id| (id, NewEntry::<String>::raw("x"))).collect())
    };
    // The connection for reads exists.
    eventually("a stored entry", SOON, async || {
        node.cache.read_many([0], load).await[0].as_ref().unwrap().outcome() == Outcome::Hit
    })
    .await;
    proxy.delay_replies();
    let read = node.cache.read_many(0..64 * 40, load).await;
    assert!(read.iter().all(|read| read.as_ref().unwrap().outcome() == Outcome::Bypass(Bypass::RedisDown)));
    assert!(node.client.health().is_in_use(), "40 commands counted as 40 failures");
    proxy.release_replies();
}

/// The time limit is one for Redis: a process that stood still for longer finds the replies that came in the meantime.
#[tokio::test]
async fn reply_that_arrived_while_the_process_stood_still_counts() {
    let (redis, node) = node().await;
    let row = Row::new([]);
    node.fill(1, &row).await;
    let limit = Duration::from_secs(1);
    let hurried = Node::with(&CacheSettings { command_timeout: limit, ..settings(redis.url()) }, patient()).await;
    let without = connections(&redis).await;
    eventually("a read on the thread's own connection, the newest one", SOON, async || {
        hurried.cached(1).await;
        let clients = redis.cli(&["CLIENT", "LIST"]).await.unwrap();
        let newest = clients.lines().rfind(|client| !client.contains(" cmd=client|list "));
        connections(&redis).await > without && newest.is_some_and(|client| client.contains(" cmd=get "))
    })
    .await;
    for _ in 0..6 {
        let reads = calls(&redis, "get").await;
        let reading = hurried.start(1, &row.loader());
        // The reader asks, and the task of the connection sends.
        for _ in 0..10 {
            yield_now().await;
        }
        stand_still(async || {
            eventually("the read", SOON, async || calls(&redis, "get").await > reads).await;
            tokio::time::sleep(limit).await;
        });
        assert_eq!(reading.value().await.outcome(), Outcome::Hit);
    }
}

/// Blocks the runtime, which has one thread, while `other` runs on another one.
fn stand_still(other: impl AsyncFnOnce() + Send) {
    std::thread::scope(|scope| {
        scope.spawn(|| tokio::runtime::Runtime::new().unwrap().block_on(other()));
    });
}
