//! Tests of the checker: it detects every deliberate flaw of a server, and reports nothing for a server without a flaw.

mod output;
mod shop;

use std::sync::Arc;
use std::time::{Duration, Instant};

use checker::verify::map::{Map, Promise};
use checker::verify::{Anomaly, Options, Report, run};

use shop::{Flaw, Server};

/// The reads within which a flaw must be detected: fewer than a quiet machine with two cores makes in 30 seconds.
const MAX_READS: u64 = 50_000;
/// The maximum time for these reads in seconds, also on a busy machine.
const MAX_SECONDS: u64 = 300;

const MAP: &str = r#"
[services]
shop = []
[products]
ids = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16]
[writing]
method = "PUT"
body = { price_cents = "{n}" }
version = "/version"
[shown]
id = "/id"
version = "/version"
number = "/price_cents"
others = { "/name" = "Write {n}" }
[[subjects]]
name = "shop"
stale = "never"
read = { service = "shop", path = "/products/{id}" }
write = { service = "shop", path = "/products/{id}" }
"#;

/// Checks a server without a flaw for this long.
async fn check(promise: Promise, seconds: u64) -> Report {
    let options = Options { reads: u64::MAX, seconds, products: 16, ..Options::default() };
    check_with(Flaw::None, 1, promise, &options).await
}

/// Checks a number of replicas with this flaw until the anomaly is found, or until a limit for finding it is reached.
async fn check_until(flaw: Flaw, replicas: usize, promise: Promise, anomaly: Anomaly) -> Report {
    let until = Some(anomaly);
    let options = Options {
        reads: MAX_READS,
        seconds: MAX_SECONDS,
        together: MAX_SECONDS,
        products: 16,
        until,
        ..Options::default()
    };
    check_with(flaw, replicas, promise, &options).await
}

async fn check_with(flaw: Flaw, replicas: usize, promise: Promise, options: &Options) -> Report {
    let database = Arc::default();
    let servers: Vec<Server> = (0..replicas).map(|_| Server::start(flaw, &database)).collect();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("map.toml");
    std::fs::write(&file, MAP).unwrap();
    let urls: Vec<&str> = servers.iter().map(|server| server.url.as_str()).collect();
    let mut map = Map::load(Some(&file), &[format!("shop={}", urls.join(","))]).unwrap();
    map.subjects[0].stale = promise;
    run(&map, options).await.unwrap()
}

/// Asserts that a server with this flaw is caught, and that `anomaly` is among the reasons.
async fn assert_caught(flaw: Flaw, promise: Promise, anomaly: Anomaly) {
    let began = Instant::now();
    let report = check_until(flaw, 1, promise, anomaly).await;
    println!("{flaw:?}, caught after {:.1} s\n{report}", began.elapsed().as_secs_f64());
    assert!(report.subjects[0].anomalies.contains_key(&anomaly), "{flaw:?} went unnoticed: {report}");
    assert!(report.failures()[0].contains("promises were broken"), "{report}");
}

/// Checks a server without a flaw, for longer and longer until there were enough reads and writes.
async fn check_server_without_flaw(promise: Promise) -> Report {
    for seconds in [6, 12, 24, 48] {
        let report = check(promise, seconds).await;
        println!("{report}");
        let stats = &report.subjects[0];
        assert_eq!((stats.broken(), stats.stale, stats.failed_reads), (0, 0, 0), "{report}");
        if stats.reads > 500 && stats.writes > 20 {
            return report;
        }
    }
    panic!("too few reads or writes");
}

#[tokio::test]
async fn server_without_flaw_keeps_every_promise_in_every_pattern() {
    for promise in [Promise::Never, Promise::AtMost(Duration::from_secs(1))] {
        let report = check_server_without_flaw(promise).await;
        let stats = &report.subjects[0];
        for pattern in ["hot", "zipf", "uniform", "missing", "sweep"] {
            assert!(stats.patterns.get(pattern).is_some_and(|it| it.reads > 5), "no {pattern}: {report}");
        }
        assert!(stats.patterns["hot"].hit_share() > 0.5, "it has no cache: {report}");
        assert!(stats.patterns["missing"].hit_share() < 0.25, "missing products are in the cache: {report}");
        assert!(stats.answers == stats.reads, "an answer shows one product: {report}");
    }
}

#[tokio::test]
async fn naive_cache_aside_is_caught() {
    assert_caught(Flaw::NaiveCacheAside, Promise::Never, Anomaly::Stale).await;
}

#[tokio::test]
async fn delete_before_the_commit_is_caught() {
    assert_caught(Flaw::DeleteBeforeCommit, Promise::Never, Anomaly::Stale).await;
}

#[tokio::test]
async fn newer_version_wins_is_caught() {
    assert_caught(Flaw::NewerVersionWins, Promise::Never, Anomaly::Stale).await;
}

#[tokio::test]
async fn lost_event_is_caught_under_a_staleness_bound() {
    assert_caught(Flaw::LostEvent, Promise::AtMost(Duration::from_millis(500)), Anomaly::Stale).await;
}

#[tokio::test]
async fn torn_entry_is_caught() {
    assert_caught(Flaw::Torn, Promise::Never, Anomaly::Torn).await;
}

#[tokio::test]
async fn rolled_back_write_in_the_cache_is_caught() {
    assert_caught(Flaw::StoredBeforeCommit, Promise::Never, Anomaly::Backwards).await;
}

#[tokio::test]
async fn read_of_an_unwritten_value_is_caught() {
    assert_caught(Flaw::UnwrittenValue, Promise::Never, Anomaly::Future).await;
}

#[tokio::test]
async fn lost_write_is_caught_when_its_version_is_reused() {
    assert_caught(Flaw::LostWrite, Promise::AtMost(Duration::from_secs(3_600)), Anomaly::Lost).await;
}

#[tokio::test]
async fn session_that_goes_back_between_replicas_is_caught() {
    let promise = Promise::AtMost(Duration::from_secs(3_600));
    // Each replica has a cache of its own, and is notified only of its own writes.
    let report = check_until(Flaw::None, 2, promise, Anomaly::Backwards).await;
    println!("{report}");
    assert!(report.subjects[0].anomalies.contains_key(&Anomaly::Backwards), "{report}");
}
