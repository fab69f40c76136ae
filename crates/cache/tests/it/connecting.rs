//! The servers that a client accepts, and a client that starts without a server.

use std::time::Duration;

use cache::error::ConnectError;
use cache::health::{Health, Reason};
use cache::outcome::{Bypass, Fill};
use cache::{CacheClient, CacheSettings, Keyspace, Outcome};
use testkit::{Redis, Transport, eventually};

use crate::support::{Node, Row, SOON, connections, filled_node, patient, redis, settings};

async fn refusal(url: String) -> String {
    let refused = CacheClient::connect_with(Keyspace::new("shop").unwrap(), &settings(url)).await;
    refused.expect_err("it was accepted").to_string()
}

#[tokio::test]
async fn a_server_that_may_evict_the_fence_table_is_refused() {
    for policy in ["allkeys-lru", "allkeys-lfu", "allkeys-random"] {
        let redis = Redis::start_with(&[("maxmemory-policy", policy)]).await.unwrap();
        assert!(refusal(redis.url()).await.contains(policy));
    }
    for policy in ["noeviction", "volatile-ttl"] {
        let redis = Redis::start_with(&[("maxmemory-policy", policy)]).await.unwrap();
        assert_eq!(Node::on(&redis).await.client.health(), Health::Up);
    }
}

#[tokio::test]
async fn server_that_becomes_unsafe_is_not_used_until_it_is_safe_again() {
    let (redis, node, row) = filled_node([]).await;
    redis.cli(&["CONFIG", "SET", "maxmemory-policy", "allkeys-lru"]).await.unwrap();
    let unsafe_now = Health::Down(Reason::EvictionPolicy("allkeys-lru".to_owned()));
    eventually("the cache to notice", SOON, async || node.client.health() == unsafe_now).await;
    assert_eq!(node.read(1, &row).await.outcome(), Outcome::Bypass(Bypass::RedisDown));
    redis.cli(&["CONFIG", "SET", "maxmemory-policy", "volatile-lru"]).await.unwrap();
    eventually("the cache to notice", SOON, async || node.client.health() == Health::Up).await;
    eventually("the keyspace to be emptied", SOON, async || node.client.pending_invalidations() == 0).await;
    let outcome = node.read(1, &row).await.outcome();
    assert_eq!(outcome, Outcome::Miss(Fill::Stored), "the tag sets may have been evicted, so no entry is trusted");
    assert_eq!(node.read(1, &row).await.outcome(), Outcome::Hit);
}

/// A program that logs its client must not fill its log with scripts.
#[tokio::test]
async fn debug_output_of_a_client_contains_no_script() {
    let node = Node::on(&redis().await).await;
    let output = format!("{:?}", node.client);
    assert!(!output.contains("redis.call"), "{output}");
}

#[tokio::test]
async fn connection_error_does_not_repeat_the_password() {
    let redis = redis().await;
    redis.cli(&["CONFIG", "SET", "requirepass", "opensesame"]).await.unwrap();
    let at = |login: &str| Transport::of_this_run().url(redis.port()).replace("://", &format!("://{login}"));
    for login in [":hunter2@", "default:hunter2@", "stranger:hunter2@", ""] {
        let service = CacheSettings { url: at(login), ..CacheSettings::default() };
        let Err(error) = CacheClient::connect_with(Keyspace::new("shop").unwrap(), &service).await else {
            panic!("{login:?} is taken for a Redis that is down");
        };
        assert!(matches!(error, ConnectError::Login(_)), "{login}: {error}");
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
    }
    for url in ["redis://:hunter2@127.0.0.1:port", "hunter2"] {
        let message = refusal(url.to_owned()).await;
        assert!(!message.contains("hunter2"), "{message}");
    }
    let node = Node::with(&settings(at(":opensesame@")), patient()).await;
    assert_eq!(node.read(1, &Row::new([])).await.outcome(), Outcome::Miss(Fill::Stored));
}

#[tokio::test]
async fn client_starts_without_redis_and_uses_it_later() {
    let redis = redis().await;
    redis.kill().await.unwrap();
    let service = CacheSettings { url: redis.url(), ..CacheSettings::default() };
    let (node, row) = (Node::with(&service, patient()).await, Row::new([]));
    assert_eq!(node.client.health(), Health::Down(Reason::NoAnswer));
    assert_eq!(node.read(1, &row).await.outcome(), Outcome::Bypass(Bypass::RedisDown));
    redis.restart().await.unwrap();
    eventually("the cache to notice", SOON, async || node.client.health() == Health::Up).await;
    node.until_hit(1, &row).await;
}

#[tokio::test]
async fn shutdown_waits_for_loads_in_flight() {
    let redis = redis().await;
    let impatient = CacheSettings { command_timeout: Duration::from_secs(2), ..settings(redis.url()) };
    let (node, peer) = (Node::with(&impatient, patient()).await, Node::on(&redis).await);
    let row = Row::new([]);
    let (reading, loading) = node.loading(1, &row).await;
    let stopping = tokio::spawn({
        let client = node.client.clone();
        async move { client.shutdown(SOON).await }
    });
    node.settle().await;
    assert!(!stopping.is_finished());
    loading.finish();
    tokio::time::timeout(SOON, stopping).await.expect("the shutdown hangs").unwrap();
    assert_eq!(reading.value().await.outcome(), Outcome::Miss(Fill::Stored));
    assert_eq!(peer.cached(1).await, Some(1));
    // A reader that does not know of the shutdown still receives a value.
    let late = node.read(1, &row).await;
    assert_eq!((late.version(), late.outcome()), (Some(1), Outcome::Bypass(Bypass::RedisDown)));
    // Those of the peer are left.
    let left = async || connections(&redis).await <= 2;
    eventually("the connection to be closed", SOON, left).await;
}
