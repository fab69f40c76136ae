//! Some of the planned faults, and a short time of random kills; `make test-slow` makes more of them, and `make chaos`
//! makes all, for longer.
//!
//! One of these tests runs at a time, because the load alone keeps two cores busy: reads of an overloaded system fail,
//! and then the test would show nothing about the fault. The planned faults share a system, whose start takes as long as
//! a fault.

use checker::faults::{Options, Report, run};
use tokio::sync::Semaphore;

pub(crate) static TURN: Semaphore = Semaphore::const_new(1);

/// Makes the faults with these names, or kills components at random until so many edits are acknowledged.
async fn under_faults(only: &[&str], random: Option<u64>) -> Report {
    let options = Options {
        only: only.iter().map(|name| (*name).to_owned()).collect(),
        subject: Vec::new(),
        random,
        seed: 0,
        products: 12,
        // More than a page of the product API has.
        catalogue: 600,
        stack: None,
        operations: client::Operations::default(),
        settings: match random {
            // On a busy machine, slow replies must not look like a store that is down: that would be a further fault
            // without an end.
            None => ["REDIS__COMMAND_TIMEOUT=1s", "REDIS__LOAD_QUEUE=5s", "POSTGRES__WAIT_TIMEOUT=5s"]
                .map(str::to_owned)
                .into(),
            Some(_) => Vec::new(),
        },
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
async fn promises_hold_under_planned_faults() {
    let faults = ["redis killed", "dies after COMMIT", "product-api-2 is not tracked"];
    under_faults(&faults, None).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "it takes minutes; `make test-slow`"]
async fn promises_hold_under_more_planned_faults() {
    let faults = [
        "redis frozen", "redis half-open", "postgres half-open", "older data", "product-api killed", "tag drain",
        "product-api-2 frozen",
    ];
    under_faults(&faults, None).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn promises_hold_when_components_are_killed_at_random() {
    const EDITS: u64 = 1_000;
    let report = under_faults(&[], Some(EDITS)).await;
    let outcome = &report.outcomes[0];
    assert!(outcome.edits_in_sql + outcome.edits_over_http >= EDITS, "{outcome}");
    assert!(outcome.edits_in_sql > EDITS / 50 && outcome.edits_over_http > EDITS / 50, "{outcome}");
    assert!(outcome.kills.len() == 7 && outcome.kills.iter().all(|(_, times)| *times > 0), "{outcome}");
}
