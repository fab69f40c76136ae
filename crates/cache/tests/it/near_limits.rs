//! The near cache: its bounds, what it asks Redis, and the end of a process that has one.

use std::time::Duration;

use cache::error::InvalidCache;
use cache::{CacheSettings, Invalidation, Near, Outcome};
use testkit::{ChildProcess, Redis, eventually};

use crate::near::{BOUND, near_node, near_settings, strict, until_near};
use crate::support::{Node, Proxy, Row, SOON, entry_reads, patient, redis, settings, shelf, through};

#[tokio::test]
async fn hit_from_memory_asks_redis_nothing() {
    let redis = redis().await;
    let (node, row) = (strict(&redis).await, Row::new([]));
    until_near(&node, 1, &row).await;
    let before = entry_reads(&redis).await;
    // On a busy machine, the lease lapses now and then. A read during such a lapse asks Redis.
    let mut others = 0;
    for _ in 0..50 {
        eventually("a hit from memory", SOON, async || {
            let is_near = node.read(1, &row).await.outcome() == Outcome::NearHit;
            others += u64::from(!is_near);
            is_near
        })
        .await;
    }
    let asked = entry_reads(&redis).await.abs_diff(before);
    assert!(asked <= others + 2, "hits from memory were requested from Redis: {asked} reads for {others} other reads");
    assert_eq!(row.loads(), 1);
}

#[tokio::test]
async fn memory_is_bounded_by_weight() {
    const WEIGHT: u64 = 100_000;
    let redis = redis().await;
    let settings = CacheSettings { near_weight: WEIGHT, ..near_settings(redis.url()) };
    let node = Node::with(&settings, patient().near(Near::Bounded(BOUND))).await;
    let row = Row::new([]);
    until_near(&node, 1, &row).await;
    node.fill_many(2..5_000, &row).await;
    for id in 1..5_000 {
        node.read(id, &row).await;
        let weight = node.client.near_weight();
        assert!(weight <= WEIGHT, "{weight}");
    }
    assert!(node.client.near_weight() > WEIGHT / 2);
}

/// Redis remembers for a bounded number of keys who has read them. It tells a process to drop an entry that it forgets.
#[tokio::test]
async fn overflow_of_the_tracking_table_drops_entries_and_returns_nothing_old() {
    const TRACKED: u64 = 100;
    let redis = redis().await;
    let (writer, peer, row) = (strict(&redis).await, strict(&redis).await, Row::new([shelf(1)]));
    until_near(&peer, 1, &row).await;
    peer.fill_many(2..1_001, &row).await;
    let read_all = async || {
        let mut near = 0;
        for id in 1..1_001 {
            near += u64::from(peer.read(id, &row).await.outcome() == Outcome::NearHit);
        }
        near
    };
    eventually("all entries in memory", SOON, async || read_all().await == 1_000).await;
    redis.cli(&["CONFIG", "SET", "tracking-table-max-keys", &TRACKED.to_string()]).await.unwrap();
    eventually("Redis to forget the others", SOON, async || tracked(&redis).await <= TRACKED).await;
    eventually("their entries to be dropped", SOON, async || read_all().await <= 2 * TRACKED).await;
    let version = row.commit();
    assert_eq!(writer.remove_tag(shelf(1)).await, 1_000);
    for id in 1..1_001 {
        assert_eq!(peer.read(id, &row).await.version(), Some(version), "entry {id}");
    }
}

/// Returns how many keys Redis tracks.
async fn tracked(redis: &Redis) -> u64 {
    let stats = redis.cli(&["INFO", "stats"]).await.unwrap();
    let keys = stats.lines().find_map(|line| line.strip_prefix("tracking_total_keys:")).unwrap();
    keys.trim().parse().unwrap()
}

#[tokio::test]
async fn process_that_has_stopped_is_not_registered_any_more() {
    let redis = redis().await;
    let (writer, row) = (strict(&redis).await, Row::new([]));
    let peer = strict(&redis).await;
    until_near(&writer, 1, &row).await;
    until_near(&peer, 1, &row).await;
    let register = redis.cli(&["--scan", "--pattern", "shop:~holders:*"]).await.unwrap();
    // The writer, the peer, the age of the register, and the length of their leases.
    assert_eq!(crate::support::number(&redis, &["HLEN", &register]).await, 4);
    peer.client.shutdown(SOON).await;
    assert_eq!(crate::support::number(&redis, &["HLEN", &register]).await, 3);
}

/// It was killed, so it did not say that it has gone.
#[tokio::test]
async fn process_that_has_gone_is_waited_for_no_longer_than_its_lease() {
    let redis = redis().await;
    let proxy = Proxy::to(redis.port()).await.unwrap();
    let (writer, row) = (strict(&redis).await, Row::new([]));
    let peer = near_node(through(&proxy), Near::Strict(BOUND)).await;
    until_near(&peer, 1, &row).await;
    proxy.cut();
    eventually("the end of its registration", SOON, async || {
        writer.remove(1).await;
        let register = redis.cli(&["--scan", "--pattern", "shop:~holders:*"]).await.unwrap();
        // The writer, the age of the register, and the length of the leases.
        crate::support::number(&redis, &["HLEN", &register]).await == 3
    })
    .await;
}

#[tokio::test]
async fn near_cache_needs_the_bound_of_the_keyspace() {
    let redis = redis().await;
    let without = Node::with(&settings(redis.url()), patient()).await;
    let refused = without.client.cache::<String>("near", patient().near(Near::Strict(BOUND)));
    assert_eq!(refused.unwrap_err(), InvalidCache::NearBound { bound: BOUND, longest: Duration::ZERO });
    let with = strict(&redis).await;
    for bound in [BOUND * 2, Duration::from_millis(1)] {
        let refused = with.client.cache::<String>("near", patient().near(Near::Bounded(bound)));
        assert_eq!(refused.unwrap_err(), InvalidCache::NearBound { bound, longest: BOUND });
    }
}

/// A process may answer so late that its answer arrives in the next session of the tracked connection.
#[tokio::test]
async fn request_after_a_broken_connection_has_a_number_of_its_own() {
    let redis = redis().await;
    let (writer, row) = (strict(&redis).await, Row::new([]));
    until_near(&writer, 1, &row).await;
    let register = redis.cli(&["--scan", "--pattern", "shop:~holders:*"]).await.unwrap();
    // A process that never answers, and whose lease is longer than the test.
    redis.cli(&["HSET", &register, "p:silent", "9999999999999", "b:600000", "1"]).await.unwrap();
    let mut subscribe = redis.client().unwrap();
    subscribe.args(["SUBSCRIBE", "shop:~near"]);
    let listener = ChildProcess::start(subscribe.as_std()).unwrap();
    eventually("the subscription", SOON, async || listener.output().contains("subscribe")).await;
    let number_of = async |request: usize| {
        let number = |line: &str| Some(line.split_once("ask ")?.1.split(' ').nth(1)?.to_owned());
        let listen = async || listener.output().lines().filter_map(number).nth(request);
        eventually("a request to the silent process", SOON, listen).await
    };
    let numbers = async {
        let first = number_of(0).await;
        kill_tracked(&redis).await;
        (first, number_of(1).await)
    };
    let removal = writer.client.invalidate(Invalidation::hard().key(writer.key(1)));
    tokio::select! {
        _ = removal => panic!("the silent process was not waited for"),
        (first, second) = numbers => assert_ne!(first, second),
    }
}

/// Ends the connection that Redis tracks.
async fn kill_tracked(redis: &Redis) {
    let clients = redis.cli(&["CLIENT", "LIST"]).await.unwrap();
    let is_tracked = |client: &&str| {
        client.split(' ').any(|field| field.strip_prefix("flags=").is_some_and(|flags| flags.contains('t')))
    };
    let tracked = clients.lines().find(is_tracked).unwrap();
    let id = tracked.split(' ').find_map(|field| field.strip_prefix("id=")).unwrap();
    redis.cli(&["CLIENT", "KILL", "ID", id]).await.unwrap();
}
