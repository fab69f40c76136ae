//! Nothing is lost, whoever is killed: the short run. `make chaos` is the long one.

use lab::chaos::{Options, run};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_write_is_lost_and_nothing_stays_stale_whoever_is_killed() {
    let options = Options { writes: 1_500, products: 60, seed: 0, programs: None };
    let report = run(&options).await.expect("the run itself");
    println!("{report}");
    assert_eq!(report.wrong, Vec::<String>::new(), "{report}");
    assert!(
        report.writes >= options.writes && report.hits.iter().all(|hits| *hits > 0) && report.baskets > 0,
        "the run was about nothing: {report}"
    );
    assert!(report.kills.iter().all(|(_, times)| *times > 0), "somebody was left out: {report}");
}
