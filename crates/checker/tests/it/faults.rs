//! Some of the planned faults, and a short time of random kills; `make chaos` makes all of them, for longer.
//!
//! Each test has a system of its own. One runs at a time, because the load alone keeps two cores busy: reads of an
//! overloaded system fail, and then the test would show nothing about the fault.

use checker::faults::{Options, Report, run};
use tokio::sync::Semaphore;

static TURN: Semaphore = Semaphore::const_new(1);

/// Makes the faults with these names, or kills components at random until so many writes are acknowledged.
async fn under_faults(only: &[&str], random: Option<u64>) -> Report {
    let options = Options {
        only: only.iter().map(|name| (*name).to_owned()).collect(),
        random,
        seed: 0,
        products: 12,
        stack: None,
        operations: client::Operations::default(),
        // On a busy machine, slow replies must not look like a Redis that is down: that would be a further fault
        // without an end.
        settings: vec!["REDIS__COMMAND_TIMEOUT=1s".to_owned()],
        report: tempfile::tempdir().expect("a folder").path().to_owned(),
    };
    let _turn = TURN.acquire().await.expect("it is never closed");
    let report = run(&options, |outcome| println!("{outcome}")).await.expect("the run itself");
    assert_eq!((report.outcomes.len(), report.wrong.as_slice()), (only.len().max(1), &[][..]));
    for outcome in &report.outcomes {
        assert!(outcome.holds(), "{outcome}");
        assert!(outcome.reads > 100 && outcome.writes > 10, "it was about nothing: {outcome}");
    }
    report
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn promises_hold_when_redis_dies_or_hangs() {
    under_faults(&["redis killed", "redis frozen"], None).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn promises_hold_when_connections_are_half_open() {
    under_faults(&["redis half-open", "postgres half-open"], None).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn promises_hold_when_redis_loses_data_and_the_product_api_dies() {
    under_faults(&["older data", "product-api killed"], None).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn promises_hold_when_the_product_api_dies_between_commit_and_invalidation() {
    under_faults(&["dies after COMMIT", "tag drain"], None).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn promises_hold_when_components_are_killed_at_random() {
    let report = under_faults(&[], Some(1_500)).await;
    let outcome = &report.outcomes[0];
    let acknowledged = outcome.writes + outcome.edits_in_sql + outcome.edits_over_http;
    assert!(acknowledged >= 1_500 && outcome.edits_in_sql > 10 && outcome.edits_over_http > 10, "{outcome}");
    assert!(outcome.kills.len() == 6 && outcome.kills.iter().all(|(_, times)| *times > 0), "{outcome}");
}
