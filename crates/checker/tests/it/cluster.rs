//! The whole system on a Redis Cluster of three primaries, each with a replica.

use std::cell::{Cell, RefCell};
use std::time::{Duration, Instant};

use checker::verify::map::Map;
use checker::verify::{Options, Report, run};
use testkit::private_system::{PrivateSystem, Service};
use testkit::{Redis, eventually};
use tokio::time::sleep;

use crate::faults::TURN;

/// The maximum time until every event is applied.
const SOON: Duration = Duration::from_secs(60);
/// The stream of the product API, and the beginning of its keys in each partition.
const STREAM: &str = "product:events";
const PARTITIONS: [&str; 8] = [
    "{product:0}:", "{product:1}:", "{product:2}:", "{product:3}:", "{product:4}:", "{product:5}:", "{product:6}:",
    "{product:7}:",
];

/// Reads and writes for this time. How far the services are behind depends on the machine; that they receive every event
/// is asserted by [`PrivateSystem::until_applied`].
async fn check_for(seconds: u64, system: &PrivateSystem) -> Report {
    let services = Service::ALL.map(|service| format!("{}={}", service.name(), system.url(service)));
    let map = Map::load(None, &services).unwrap();
    let options = Options { reads: u64::MAX, seconds, together: seconds, products: 8, ..Options::default() };
    let report = run(&map, &options).await.unwrap();
    println!("{report}");
    for stats in report.subjects.iter().filter(|stats| stats.promise_ms == 0.0) {
        assert_eq!(stats.broken(), 0, "{}: {report}", stats.subject);
    }
    report
}

/// Reads and writes, for longer and longer until every cache was used and written to. Asserts that no read was stale where
/// none may be.
async fn assert_promises_kept(system: &PrivateSystem) {
    for seconds in [5, 10, 20, 40] {
        let report = check_for(seconds, system).await;
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
        let end = Instant::now() + SOON;
        while !is_ready().await {
            if Instant::now() > end {
                let body = http.get(&url).send().await.unwrap().text().await.unwrap();
                panic!("{} is not ready: {body}\n{}", service.name(), system.output(service).await);
            }
            sleep(Duration::from_millis(40)).await;
        }
    }
}

/// Reads and writes while slots migrate, and then while the primary that has the stream dies and is replaced. Asserts that
/// no read was stale where none may be.
async fn assert_promises_kept_meanwhile(system: &PrivateSystem, http: &reqwest::Client) {
    let cluster = system.cluster.as_ref().unwrap();
    let doomed = cluster.primary_of(STREAM).await.unwrap().port();
    let others: Vec<&Redis> = cluster.nodes()[..3].iter().filter(|node| node.port() != doomed).collect();
    let (reports, is_over, migrated) = (RefCell::new(Vec::new()), Cell::new(false), Cell::new(0));

    let disturbing = async {
        while reports.borrow().len() < 2 {
            for key in PARTITIONS {
                let source = cluster.primary_of(key).await.unwrap().port();
                let target = others.iter().find(|node| node.port() != source).unwrap();
                if source != doomed {
                    cluster.migrate_to(target, key, async || {}).await.unwrap();
                    migrated.set(migrated.get() + 1);
                }
            }
        }
        fail_over(system, http).await;
        is_over.set(true);
    };
    let checking = async {
        while !is_over.get() {
            let report = check_for(5, system).await;
            reports.borrow_mut().push(report);
        }
    };
    tokio::join!(disturbing, checking);

    let reports = reports.into_inner();
    assert!(migrated.get() >= 2, "{} slots", migrated.get());
    for name in ["explicit", "writethrough", "tags", "production"] {
        let stats = reports.iter().flat_map(|report| report.subjects.iter().filter(|stats| stats.subject == name));
        let (hits, writes) = stats.fold((0, 0), |sum, stats| (sum.0 + stats.hits, sum.1 + stats.writes));
        println!("{name}: {hits} hits and {writes} writes, {} slots migrated", migrated.get());
        assert!(hits > 0 && writes > 5, "{name}: {hits} hits and {writes} writes");
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
    cluster.migrate(STREAM, async || {}).await.unwrap();
    assert_promises_kept_meanwhile(&system, &http).await;
    system.until_applied(&http, SOON).await.unwrap();
    assert_promises_kept(&system).await;
    system.until_applied(&http, SOON).await.unwrap();
}

/// The databases say which primaries may be used.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shop_that_trusts_one_incarnation_keeps_its_promises_during_a_failover() {
    let _turn = TURN.acquire().await.unwrap();
    let settings = [&SETTINGS[..], &[("INCARNATION__TRUSTED", "true")]].concat();
    let system = PrivateSystem::start_on_cluster(300, &settings).await.unwrap();
    let http = reqwest::Client::new();
    assert_promises_kept_meanwhile(&system, &http).await;
    assert_promises_kept(&system).await;
    system.until_applied(&http, SOON).await.unwrap();
}
