//! The checker is checked: it finds what is wrong with servers that are wrong on purpose, and nothing in one that is not.
#![expect(clippy::unwrap_used, reason = "in a test, a failed step is a failed test")]

mod shop;

use std::sync::Arc;
use std::time::{Duration, Instant};

use lab::verify::map::{Map, Promise};
use lab::verify::{Fault, Options, Report, run};
use shop::{Flaw, Server};

/// The longest that a broken server may go unnoticed.
const CAUGHT: u64 = 30;

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

/// Checks so many replicas with this flaw, for at most so long.
async fn check(flaw: Flaw, replicas: usize, promise: Promise, seconds: u64) -> Report {
    let database = Arc::default();
    let servers: Vec<Server> = (0..replicas).map(|_| Server::start(flaw, &database)).collect();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("map.toml");
    std::fs::write(&file, MAP).unwrap();
    let urls: Vec<&str> = servers.iter().map(|server| server.url.as_str()).collect();
    let mut map = Map::load(Some(&file), &[format!("shop={}", urls.join(","))]).unwrap();
    map.subjects[0].stale = promise;
    let options = Options { reads: u64::MAX, seconds, products: 16, ..Options::default() };
    run(&map, &options).await.unwrap()
}

/// A server with this flaw is caught, for this reason among others.
async fn is_caught(flaw: Flaw, promise: Promise, fault: Fault) {
    let began = Instant::now();
    let report = check(flaw, 1, promise, CAUGHT).await;
    println!("{flaw:?}, caught after {:.1} s\n{report}", began.elapsed().as_secs_f64());
    let faults = &report.subjects[0].faults;
    assert!(faults.contains_key(&fault), "{flaw:?} went unnoticed: {report}");
}

#[tokio::test]
async fn a_sound_server_keeps_every_promise() {
    let report = check(Flaw::None, 1, Promise::Never, 6).await;
    println!("{report}");
    let tally = &report.subjects[0];
    assert_eq!((tally.broken(), tally.stale, tally.failed_reads), (0, 0, 0), "{report}");
    assert!(tally.reads > 1_000 && tally.hits == 0 && tally.writes > 100, "it was about nothing: {report}");
    assert!(tally.patterns.len() == 4, "a pattern was left out: {report}");
}

#[tokio::test]
async fn naive_cache_aside_is_caught() {
    is_caught(Flaw::NaiveCacheAside, Promise::Never, Fault::Stale).await;
}

#[tokio::test]
async fn a_delete_before_the_commit_is_caught() {
    is_caught(Flaw::DeleteBeforeCommit, Promise::Never, Fault::Stale).await;
}

#[tokio::test]
async fn newer_version_wins_is_caught() {
    is_caught(Flaw::NewerVersionWins, Promise::Never, Fault::Stale).await;
}

#[tokio::test]
async fn a_lost_event_is_caught_though_some_staleness_is_allowed() {
    is_caught(Flaw::LostEvent, Promise::AtMost(Duration::from_millis(500)), Fault::Stale).await;
}

#[tokio::test]
async fn an_entry_of_two_writes_is_caught() {
    is_caught(Flaw::Torn, Promise::Never, Fault::Torn).await;
}

#[tokio::test]
async fn a_write_that_is_shown_and_rolled_back_is_caught() {
    is_caught(Flaw::BeforeCommit, Promise::Never, Fault::Backwards).await;
}

#[tokio::test]
async fn a_session_that_goes_back_between_replicas_is_caught() {
    let promise = Promise::AtMost(Duration::from_secs(3_600));
    // Each has a cache of its own, and hears of its own writes only.
    let report = check(Flaw::None, 2, promise, CAUGHT).await;
    println!("{report}");
    assert!(report.subjects[0].faults.contains_key(&Fault::Backwards), "{report}");
}
