//! A few of the faults under load; `make chaos` runs all of them.

use checker::faults::{Options, run};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_read_is_stale_and_no_write_is_lost_under_faults() {
    let faults = [
        "redis killed",
        "redis frozen",
        "redis half-open",
        "older data",
        "product-api killed",
        "postgres half-open",
        "dies after COMMIT",
        "tag drain",
    ];
    let options = Options {
        only: faults.map(str::to_owned).to_vec(),
        products: 12,
        stack: None,
        operations: client::Operations::default(),
        // On a busy machine, slow replies must not look like a Redis that is down: that would be a further fault
        // without an end.
        settings: vec!["REDIS__COMMAND_TIMEOUT=1s".to_owned()],
        report: tempfile::tempdir().expect("a folder").path().to_owned(),
    };
    let report = run(&options, |outcome| println!("{outcome}")).await.expect("the run itself");
    assert_eq!((report.outcomes.len(), report.wrong.as_slice()), (faults.len(), &[][..]));
    for outcome in &report.outcomes {
        assert!(outcome.holds(), "{outcome}");
        assert!(outcome.reads > 100 && outcome.writes > 10, "it was about nothing: {outcome}");
    }
}
