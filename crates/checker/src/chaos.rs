//! No write is lost: four writers write while random processes are killed and started again.
//!
//! When all events are applied, the acknowledged writes are in the databases, every outbox row is done, the streams
//! have no gaps, the search index equals the catalogue, and every entry that a service still has in its cache equals
//! what a load would return now. The faults end with the writes; the run ends by itself.

mod faults;
mod ledger;
mod psql;
mod readers;
mod report;
mod settle;
mod writers;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use clap::Args;
use reqwest::Client;
use testkit::private_system::PrivateSystem;
use tokio::task::JoinSet;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use ledger::Ledger;
pub use report::Report;

/// How long the readers continue after everything is applied: empty caches would prove nothing.
const READ_ON: Duration = Duration::from_secs(1);
/// The number of categories in the catalogue.
const CATEGORIES: i64 = 12;

/// The options of `checker chaos`.
#[derive(Debug, Args)]
pub struct Options {
    /// Acknowledged writes, of all writers together
    #[arg(long, default_value_t = 10_000)]
    pub writes: u32,
    /// Products in the catalogue
    #[arg(long, default_value_t = 130)]
    pub products: u32,
    /// Chooses the faults; 0 for chance
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// The folder for chaos-random.md and chaos-random.json
    #[arg(long, default_value = "target/reports")]
    pub report: PathBuf,
}

/// State that writers, readers and faults share.
struct Stage {
    system: PrivateSystem,
    http: Client,
    ledger: Ledger,
    written: AtomicU32,
    refused: AtomicU32,
    target: u32,
    products: i64,
    carts: Vec<String>,
    /// Ends the faults.
    stop: CancellationToken,
    /// Ends the readers.
    quiet: CancellationToken,
}

/// Runs the experiment. Violations are in the report; an error means that the run itself failed.
pub async fn run(options: &Options) -> Result<Report> {
    let settings = [("LOG__FILTER", "warn"), ("EVENTS__CLAIM_AFTER", "1s"), ("POSTGRES__MAX_CONNECTIONS", "8")];
    let system = PrivateSystem::start(options.products, &settings).await?;
    let http = Client::builder().no_proxy().timeout(Duration::from_secs(5)).build()?;
    let carts = writers::carts(&system, &http).await.context("the carts")?;
    let stage = Arc::new(Stage {
        system,
        http,
        ledger: Ledger::default(),
        written: AtomicU32::new(0),
        refused: AtomicU32::new(0),
        target: options.writes,
        products: i64::from(options.products),
        carts,
        stop: CancellationToken::new(),
        quiet: CancellationToken::new(),
    });
    let began = Instant::now();
    let faults = tokio::spawn(faults::run(Arc::clone(&stage), options.seed));
    let readers = readers::start(&stage);
    let mut writing: JoinSet<Result<()>> = writers::start(&stage);
    while let Some(writer) = writing.join_next().await {
        writer??;
    }
    let took = began.elapsed();
    stage.stop.cancel();
    let kills = faults.await??;
    // The caches fill again while the last events are still being delivered, because a fill in this phase could store
    // an outdated value permanently.
    let mut report = Report { took, kills, ..Report::default() };
    settle::wait(&stage, &mut report).await;
    sleep(READ_ON).await;
    stage.quiet.cancel();
    readers.join_all().await;
    settle::judge(&stage, &mut report).await?;
    report.writes = stage.written.load(std::sync::atomic::Ordering::Relaxed);
    report.refused = stage.refused.load(std::sync::atomic::Ordering::Relaxed);
    report.doubt(options.writes);
    Ok(report)
}

/// Runs the experiment and prints its report. Fails when something is wrong.
pub async fn run_cli(options: &Options) -> Result<()> {
    println!("{} writes while everything is killed at random …", options.writes);
    let report = run(options).await?;
    println!("{report}");
    report.save(&options.report)?;
    anyhow::ensure!(report.wrong.is_empty(), "{} things are wrong; they stand above", report.wrong.len());
    Ok(())
}
