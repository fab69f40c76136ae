//! No write is lost when random processes are killed: the short run. `make chaos` is the long one.

use checker::chaos::{Options, run};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_write_is_lost_and_no_entry_stays_stale_under_random_kills() {
    let report = tempfile::tempdir().expect("a folder").path().to_owned();
    let options = Options { writes: 1_500, products: 60, seed: 0, report };
    let report = run(&options).await.expect("the run itself");
    println!("{report}");
    assert_eq!(report.wrong, Vec::<String>::new(), "{report}");
}
