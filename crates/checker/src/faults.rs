//! Faults under load: each planned fault is made in turn, or components are killed at random, while the checker and other
//! programs read and write. After each fault everything is compared.
//!
//! | promise | how it is checked |
//! |---|---|
//! | no stale read after an acknowledged write, where a cache promises that | the [checker](crate::verify), before, during and after the fault |
//! | no acknowledged write is lost | products, their versions, and lines of carts in Postgres, after the fault |
//! | no committed change is lost | streams without gaps; the index and the known carts equal their sources |
//! | no request fails while only Redis is unavailable | the checker's reads and writes |
//! | nothing stays stale once all events are applied, also after a write with an unknown result | every entry of every cache is compared with a fresh load; rows are also written directly in SQL |
//!
//! The faults are made on private processes, or on the running stack by its script (natively or in Compose). The product API
//! has two processes, and the checker reads and writes through both.

mod allowed;
mod crash;
mod drain;
mod edits;
mod fault_run;
mod list;
mod make;
mod near;
mod report;
mod stack;
mod target;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::Args;
use client::Operations;
use client::report::progress_bar;
use reqwest::Client;
use testkit::private_system::{PrivateSystem, Service};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::system;
use crate::verify::{Files, Run};
use edits::{Edits, Pace};
use fault_run::FaultRun;
use list::{ALL, Fault};
pub use report::{Outcome, Report};
use stack::{Stack, running};
use target::Target;

/// The options of `checker faults`.
#[derive(Clone, Debug, Args)]
pub struct Options {
    /// Only the faults whose names contain this; may be repeated
    #[arg(long)]
    pub only: Vec<String>,
    /// The checker reads and writes only this subject, such as a strategy; may be repeated
    #[arg(long)]
    pub subject: Vec<String>,
    /// Instead of the planned faults: kill components at random until so many edits of other programs than the checker
    /// are acknowledged
    #[arg(long, value_name = "WRITES", conflicts_with = "only")]
    pub random: Option<u64>,
    /// Chooses what is killed at random; 0 for chance
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// Products of each subject
    #[arg(long, default_value_t = 24)]
    pub products: usize,
    /// Products in the catalogue of private processes
    #[arg(long, default_value_t = 2_000)]
    pub catalogue: u32,
    /// The script of a running stack, such as deploy/stack, instead of private processes
    #[arg(long)]
    pub stack: Option<PathBuf>,
    /// How the operations routes of that stack are reached
    #[command(flatten)]
    pub operations: Operations,
    /// A setting of the private processes, SECTION__NAME=VALUE; may be repeated
    #[arg(long = "set", value_name = "SETTING")]
    pub settings: Vec<String>,
    /// The folder for the report: faults-private, faults-native, faults-docker or faults-random, .md and .json
    #[arg(long, default_value = "target/reports")]
    pub report: PathBuf,
}

/// Runs the faults and prints the outcomes. Fails when a promise was broken.
pub async fn run_cli(options: &Options) -> Result<()> {
    let report = run(options, |outcome| println!("{outcome}")).await?;
    let file = report.save(&options.report)?;
    println!("the same as a table: {}; with raw histograms: {}", file.display(), file.with_extension("json").display());
    for wrong in &report.wrong {
        println!("WRONG {wrong}");
    }
    let broken = report.outcomes.iter().filter(|outcome| !outcome.holds()).count();
    ensure!(broken == 0, "{broken} faults broke something");
    ensure!(report.wrong.is_empty(), "the run is not whole");
    Ok(())
}

/// Runs the faults one after the other. A failure during a fault is part of its outcome; an error means that no fault
/// could be made.
///
/// Ctrl-C ends the current fault, undoes its changes, and returns the report of the faults so far.
pub async fn run(options: &Options, mut on_outcome: impl FnMut(&Outcome)) -> Result<Report> {
    let chosen = |fault: &Fault| {
        options.only.is_empty() || options.only.iter().any(|piece| fault.name().contains(piece.as_str()))
    };
    let faults: Vec<Fault> = match options.random {
        Some(writes) => vec![Fault::RandomKills { writes, seed: options.seed }],
        None => ALL.into_iter().filter(chosen).collect(),
    };
    ensure!(!faults.is_empty(), "there is no such fault");
    let stop = stopped_by_signals()?;
    let mut target = match &options.stack {
        Some(script) => Target::Stack(Box::new(Stack::of(script).await?)),
        None => private(options).await?,
    };
    // Without a proxy, the services see how a killed store refuses their connections.
    let added = if options.random.is_some() { Ok(()) } else { target.add_proxies().await };
    let made = match added.context("no proxies could be added between the services and their stores") {
        Ok(()) => all(options, &target, &faults, &stop, &mut on_outcome).await,
        Err(error) => Err(error),
    };
    let left = target.leave().await.context("starting the services without proxies");
    let mut report = made?;
    report.wrong.extend(left.err().map(|error| format!("{error:#}")));
    if stop.is_cancelled() {
        report.wrong.push(format!("it was interrupted after {} of {} faults", report.outcomes.len(), faults.len()));
    }
    Ok(report)
}

async fn all(
    options: &Options, target: &Target, faults: &[Fault], stop: &CancellationToken,
    on_outcome: &mut impl FnMut(&Outcome),
) -> Result<Report> {
    if let Target::Private(system) = target {
        for replica in running() {
            system.start_and_wait(replica).await?;
        }
    }
    let http = Client::builder()
        .no_proxy()
        .timeout(Duration::from_secs(10))
        .default_headers(options.operations.headers()?)
        .build()?;
    // Existing entries may be outdated on purpose, because a person has tried the strategies by hand.
    for service in Service::ALL {
        system::forget(target, service).await?;
    }
    let progress = progress_bar(faults.len() as u64, "{bar:30} {pos} of {len} faults · {msg} · {elapsed}");
    progress.enable_steady_tick(Duration::from_secs(1));
    progress.set_message("making products");
    let pace = if options.random.is_some() { Pace::RANDOM } else { Pace::PLANNED };
    let edits = Edits::prepare(target, &http, pace).await.context("the edits could not be prepared")?;
    let mut map = allowed::map(target, options.random.is_some())?;
    map.only(&options.subject)?;
    let mut load = Run::prepare(&map, options.products, Files::default(), |_| {}).await?;
    let kind = if options.random.is_some() { "random" } else { target.kind() };
    let mut report = Report { target: target.name(), kind: kind.to_owned(), ..Report::default() };
    for fault in faults {
        if stop.is_cancelled() {
            break;
        }
        progress.set_message(fault.name());
        let outcome = FaultRun { target, http: &http, edits: &edits, stop }.run(&mut load, *fault).await;
        progress.suspend(|| on_outcome(&outcome));
        progress.inc(1);
        report.outcomes.push(outcome);
    }
    load.remove().await;
    let removed = edits.remove(target, &http).await.context("the edits could not be removed");
    report.wrong.extend(removed.err().map(|error| format!("{error:#}")));
    Ok(report)
}

async fn private(options: &Options) -> Result<Target> {
    let mut settings = vec![
        ("LOG__FILTER", "warn"),
        ("EVENTS__CLAIM_AFTER", "1s"),
        ("POSTGRES__MAX_CONNECTIONS", "12"),
        // A cache must still hold that there is no such product when all caches are compared. On a busy machine, that is
        // more than the usual ten seconds later.
        ("LANES__EXPLICIT__NEGATIVE_TTL", "5m"),
        ("LANES__WRITETHROUGH__NEGATIVE_TTL", "5m"),
    ];
    for given in &options.settings {
        settings.push(given.split_once('=').with_context(|| format!("{given:?} is not SECTION__NAME=VALUE"))?);
    }
    Ok(Target::Private(Box::new(PrivateSystem::prepare(options.catalogue, &settings).await?)))
}

/// Returns a token that the first signal cancels, so that the run ends in an orderly way. The second signal exits the
/// process.
pub(super) fn stopped_by_signals() -> Result<CancellationToken> {
    let stop = CancellationToken::new();
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let stopped = stop.clone();
    // This task runs as long as the process.
    tokio::spawn(async move {
        loop {
            tokio::select! { _ = interrupt.recv() => {}, _ = terminate.recv() => {} }
            if stopped.is_cancelled() {
                std::process::exit(130);
            }
            eprintln!("checker: putting everything back; once more to leave it as it is");
            stopped.cancel();
        }
    });
    Ok(stop)
}
