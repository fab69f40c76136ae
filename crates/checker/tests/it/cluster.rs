//! The whole system on a Redis Cluster of three primaries, each with a replica.

use std::time::Duration;

use checker::verify::map::Map;
use checker::verify::{Options, run};
use testkit::eventually;
use testkit::private_system::{PrivateSystem, Service};

use crate::faults::TURN;

/// The maximum time until every event is applied.
const SOON: Duration = Duration::from_secs(60);
/// The stream of the product API, and two of its partitions.
const STREAM: &str = "product:events";
const PARTITIONS: [&str; 2] = ["{product:0}:", "{product:1}:"];

/// Reads and writes, for longer and longer until every cache was used and written to. Asserts that no read was stale where
/// none may be. How far the others are behind depends on the machine; that they receive every event is asserted by
/// [`PrivateSystem::until_applied`].
async fn assert_promises_kept(system: &PrivateSystem) {
    let services = Service::ALL.map(|service| format!("{}={}", service.name(), system.url(service)));
    let map = Map::load(None, &services).unwrap();
    for seconds in [5, 10, 20, 40] {
        let options = Options { reads: u64::MAX, seconds, together: seconds, products: 8, ..Options::default() };
        let report = run(&map, &options).await.unwrap();
        println!("{report}");
        for stats in report.subjects.iter().filter(|stats| stats.promise_ms == 0.0) {
            assert_eq!(stats.broken(), 0, "{}: {report}", stats.subject);
        }
        if report.subjects.iter().all(|stats| stats.hits > 0 && stats.writes > 5) {
            return;
        }
    }
    panic!("too few hits or writes");
}

/// Kills the primary that has the stream, and waits until its replica has replaced it and every service uses it.
async fn fail_over(system: &PrivateSystem, http: &reqwest::Client) {
    let cluster = system.cluster.as_ref().unwrap();
    let primary = cluster.primary_of(STREAM).await.unwrap();
    primary.kill().await.unwrap();
    let is_replaced = async || cluster.primary_of(STREAM).await.is_ok_and(|now| now.port() != primary.port());
    eventually("another primary has the stream", SOON, is_replaced).await;
    for service in Service::ALL {
        let url = format!("{}/readyz", system.url(service));
        let is_ready = async || match http.get(&url).send().await {
            Ok(answer) => answer.text().await.is_ok_and(|body| body.contains(r#""status":"ready""#)),
            Err(_) => false,
        };
        eventually(&url, SOON, is_ready).await;
    }
}

/// Settings for a busy machine.
const SETTINGS: [(&str, &str); 3] =
    [("REDIS__COMMAND_TIMEOUT", "1s"), ("REDIS__LOAD_QUEUE", "5s"), ("POSTGRES__WAIT_TIMEOUT", "5s")];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shop_on_a_cluster_keeps_its_promises_and_loses_no_event() {
    let _turn = TURN.acquire().await.unwrap();
    let system = PrivateSystem::start_on_cluster(300, &SETTINGS).await.unwrap();
    let (cluster, http) = (system.cluster.as_ref().unwrap(), reqwest::Client::new());
    assert_promises_kept(&system).await;
    system.until_applied(&http, SOON).await.unwrap();

    for key in [STREAM].iter().chain(&PARTITIONS) {
        cluster.migrate(key, async || {}).await.unwrap();
    }
    assert_promises_kept(&system).await;
    system.until_applied(&http, SOON).await.unwrap();

    fail_over(&system, &http).await;
    assert_promises_kept(&system).await;
    system.until_applied(&http, SOON).await.unwrap();
}

/// The databases say which primaries may be used.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shop_that_trusts_one_incarnation_recovers_from_a_failover() {
    let _turn = TURN.acquire().await.unwrap();
    let settings = [&SETTINGS[..], &[("INCARNATION__TRUSTED", "true")]].concat();
    let system = PrivateSystem::start_on_cluster(300, &settings).await.unwrap();
    let http = reqwest::Client::new();
    assert_promises_kept(&system).await;
    fail_over(&system, &http).await;
    assert_promises_kept(&system).await;
    system.until_applied(&http, SOON).await.unwrap();
}
