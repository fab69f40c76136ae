//! While Redis is unavailable, a near cache serves its entries only if the policy says so, labelled as unverified.

use std::time::{Duration, Instant};

use cache::outcome::Bypass;
use cache::{CacheSettings, Invalidated, Near, Outcome};
use futures_util::future::join_all;
use testkit::{Proxy, eventually};

use crate::near::{BOUND, near_settings, until_near};
use crate::support::{Node, Row, SOON, patient, redis, shelf, through};

/// The read begins while the process still has its lease, so it waits for the tracked connection, and then for no other one.
#[tokio::test]
async fn read_from_a_redis_that_has_just_frozen_costs_one_timeout() {
    let redis = redis().await;
    // Long, so that a second timeout differs from the delays of a busy machine.
    let timeout = Duration::from_secs(8);
    let settings = CacheSettings { command_timeout: timeout, ..near_settings(redis.url()) };
    let node = Node::with(&settings, patient().near(Near::Strict(BOUND))).await;
    let row = Row::new([]);
    until_near(&node, 1, &row).await;
    redis.pause();
    let began = Instant::now();
    let reads = join_all((2..10).map(|id| node.read(id, &row))).await;
    assert!(reads.iter().all(|read| read.outcome() == Outcome::Bypass(Bypass::RedisDown)), "{reads:?}");
    // The barrier that is under way may end the connection, and the reads with it, a moment sooner.
    assert!((timeout / 2..2 * timeout).contains(&began.elapsed()), "{:?}", began.elapsed());
    redis.resume();
}

/// A barrier that began before the read ends the connection while the read waits.
#[tokio::test]
async fn read_whose_tracked_connection_ends_late_waits_for_no_other_one() {
    let redis = redis().await;
    let proxy = Proxy::to(redis.port()).await.unwrap();
    let timeout = Duration::from_secs(8);
    let settings = CacheSettings { command_timeout: timeout, ..near_settings(through(&proxy)) };
    let node = Node::with(&settings, patient().near(Near::Strict(BOUND))).await;
    let row = Row::new([]);
    until_near(&node, 1, &row).await;
    proxy.hold();
    let began = Instant::now();
    let ending = async {
        tokio::time::sleep(timeout * 3 / 4).await;
        proxy.close_tracked();
    };
    let (reads, ()) = tokio::join!(join_all((2..10).map(|id| node.read(id, &row))), ending);
    assert!(reads.iter().all(|read| read.outcome() == Outcome::Bypass(Bypass::RedisDown)), "{reads:?}");
    assert!((timeout / 2..timeout * 3 / 2).contains(&began.elapsed()), "{:?}", began.elapsed());
    proxy.release();
}

/// The pushes of the removal are lost with the tracked connection.
#[tokio::test]
async fn memory_serves_in_an_outage_nothing_that_the_process_has_removed_by_tag() {
    let redis = redis().await;
    let proxy = Proxy::to(redis.port()).await.unwrap();
    let policy = patient().near(Near::Strict(BOUND)).serve_near_in_outage();
    let node = Node::with(&near_settings(through(&proxy)), policy).await;
    let (tagged, other) = (Row::new([shelf(1)]), Row::new([]));
    until_near(&node, 1, &tagged).await;
    proxy.close_tracked();
    tagged.commit();
    assert!(matches!(node.client.invalidate_tag(shelf(1)).await, Invalidated::Done { entries: 1 }));
    until_near(&node, 2, &other).await;
    redis.kill().await.unwrap();
    let is_served = async || node.read(2, &other).await.outcome() == Outcome::Unverified;
    eventually("an entry that was not removed", SOON, is_served).await;
    let read = node.read(1, &tagged).await;
    assert_eq!((read.outcome(), read.version()), (Outcome::Bypass(Bypass::RedisDown), Some(tagged.version())));
}

#[tokio::test]
async fn memory_is_served_in_an_outage_only_if_the_policy_says_so() {
    let redis = redis().await;
    let strict = patient().near(Near::Strict(BOUND));
    let careful = Node::with(&near_settings(redis.url()), strict.clone()).await;
    let eager = Node::with(&near_settings(redis.url()), strict.serve_near_in_outage()).await;
    let rows = [(1, Row::new([])), (2, Row::new([])), (3, Row::new([]))];
    for (id, row) in &rows {
        until_near(&careful, *id, row).await;
        until_near(&eager, *id, row).await;
    }
    // What was invalidated while Redis was available is gone.
    let (_, removed) = &rows[2];
    removed.commit();
    assert_eq!(careful.remove(3).await, 1);

    redis.kill().await.unwrap();
    for (_, row) in &rows {
        row.commit();
    }
    let down = Outcome::Bypass(Bypass::RedisDown);
    eventually("the lease to end", SOON, async || careful.read(1, &rows[0].1).await.outcome() == down).await;
    for _ in 0..3 {
        let kept = eager.read(1, &rows[0].1).await;
        assert_eq!(
            (kept.outcome(), kept.version()),
            (Outcome::Unverified, Some(1)),
            "it was changed by another process"
        );
        assert_eq!(careful.read(1, &rows[0].1).await.version(), Some(2));
    }
    assert_eq!(eager.read(3, removed).await.version(), Some(removed.version()));
    // What this process changes itself is not served by it.
    assert!(matches!(eager.cache.invalidate(2).await, Invalidated::Deferred));
    assert_eq!(eager.read(2, &rows[1].1).await.version(), Some(2));

    redis.restart().await.unwrap();
    eventually("a hit", SOON, async || eager.read(1, &rows[0].1).await.outcome() == Outcome::NearHit).await;
    assert_eq!(eager.read(1, &rows[0].1).await.version(), Some(2));
}
