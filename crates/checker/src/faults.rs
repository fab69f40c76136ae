//! Faults under load: each fault is made in turn while the checker reads and writes, and after each fault everything is
//! compared.
//!
//! | promise | how it is checked |
//! |---|---|
//! | no stale read after an acknowledged write, where a cache promises that | the [checker](crate::verify), before, during and after the fault |
//! | no acknowledged write is lost | the versions in Postgres, after the fault |
//! | no request fails while only Redis is unavailable | the checker's reads and writes |
//! | nothing stays stale once all events are applied, whatever the result of the write | every entry of every cache is compared with a fresh load; rows are also written directly in SQL |
//!
//! The faults are made on private processes, or on the running stack by its script (natively or in Compose).

mod concurrent_edits;
mod crash;
mod drain;
mod list;
mod make;
mod one;
mod probe;
mod report;
mod session;
mod stack;
mod target;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::Args;
use client::Operations;
use indicatif::{ProgressBar, ProgressStyle};
use reqwest::Client;
use testkit::private_system::{PrivateSystem, Service};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::system::{self, System};
use crate::verify::map::{Map, Promise};
use crate::verify::{Files, Run};
use list::{ALL, Fault};
use make::HOLD;
use one::Stage;
pub use report::{Outcome, Report};
use stack::Stack;
use target::Target;

/// The longest time until a service is ready again, and until the system is idle.
const TIMEOUT: Duration = Duration::from_secs(60);
/// These strategies may show outdated values for their TTL.
const BY_TIME: [&str; 2] = ["ttl", "swr"];

/// The options of `checker faults`.
#[derive(Clone, Debug, Args)]
pub struct Options {
    /// Only the faults whose names contain this; may be repeated
    #[arg(long)]
    pub only: Vec<String>,
    /// Products of each subject
    #[arg(long, default_value_t = 24)]
    pub products: usize,
    /// The script of a running stack, such as deploy/stack, instead of private processes
    #[arg(long)]
    pub stack: Option<PathBuf>,
    /// How the operations routes of that stack are reached
    #[command(flatten)]
    pub operations: Operations,
    /// A setting of the private processes, SECTION__NAME=VALUE; may be repeated
    #[arg(long = "set", value_name = "SETTING")]
    pub settings: Vec<String>,
    /// The folder for the report: faults-private, faults-native or faults-docker, .md and .json
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
pub async fn run(options: &Options, mut told: impl FnMut(&Outcome)) -> Result<Report> {
    let chosen = |fault: &Fault| {
        options.only.is_empty() || options.only.iter().any(|piece| fault.name().contains(piece.as_str()))
    };
    let faults: Vec<Fault> = ALL.into_iter().filter(chosen).collect();
    ensure!(!faults.is_empty(), "there is no such fault");
    let stop = stopped_by_signals()?;
    let mut site = match &options.stack {
        Some(script) => Target::Stack(Box::new(Stack::of(script).await?)),
        None => private(options).await?,
    };
    let laid = site.add_proxies().await.context("laying wires between the services and their stores");
    let made = match laid {
        Ok(()) => all(options, &site, &faults, &stop, &mut told).await,
        Err(error) => Err(error),
    };
    let left = site.leave().await.context("starting the services without wires");
    let mut report = made?;
    report.wrong.extend(left.err().map(|error| format!("{error:#}")));
    if stop.is_cancelled() {
        report.wrong.push(format!("it was interrupted after {} of {} faults", report.outcomes.len(), faults.len()));
    }
    Ok(report)
}

async fn all(
    options: &Options,
    site: &Target,
    faults: &[Fault],
    stop: &CancellationToken,
    told: &mut impl FnMut(&Outcome),
) -> Result<Report> {
    if let Target::Private(system) = site {
        for service in Service::ALL {
            system.start_and_wait(service).await?;
        }
    }
    let http = Client::builder()
        .no_proxy()
        .timeout(Duration::from_secs(10))
        .default_headers(options.operations.headers()?)
        .build()?;
    // Existing entries may be outdated on purpose, because a person has tried the strategies by hand.
    for service in Service::ALL {
        system::forget(site, service).await?;
    }
    let progress = Progress::new(faults.len());
    let mut load = Run::prepare(&map(site).await?, options.products, Files::default(), |_| {}).await?;
    let mut report = Report { site: site.name(), kind: site.kind().to_owned(), ..Report::default() };
    for fault in faults {
        if stop.is_cancelled() {
            break;
        }
        progress.begins(&fault.name());
        let outcome = Stage { site, http: &http, stop }.one(&mut load, *fault).await;
        progress.done(|| told(&outcome));
        report.outcomes.push(outcome);
    }
    load.remove().await;
    Ok(report)
}

/// Returns the map for this target, with the staleness that is allowed during faults.
///
/// A cache that promises never to be stale keeps this promise during a fault too. `ttl` and `swr` keep their TTL in any
/// case; a load that a fault delays is stored when the fault is over, after [`HOLD`]. Caches that rely on events are
/// stale until the events arrive, which is when the fault is over and all services have recovered.
async fn map(site: &Target) -> Result<Map> {
    let mut replaced = Vec::new();
    for service in Service::ALL {
        replaced.push(format!("{}={}", service.name(), site.url(service).await?));
    }
    let mut map = Map::load(None, &replaced)?;
    for subject in &mut map.subjects {
        if let Promise::AtMost(most) = subject.stale {
            let more = if BY_TIME.contains(&subject.name.as_str()) { HOLD } else { HOLD + TIMEOUT };
            subject.stale = Promise::AtMost(most + more);
        }
    }
    Ok(map)
}

async fn private(options: &Options) -> Result<Target> {
    let mut settings =
        vec![("LOG__FILTER", "warn"), ("EVENTS__CLAIM_AFTER", "1s"), ("POSTGRES__MAX_CONNECTIONS", "12")];
    for given in &options.settings {
        settings.push(given.split_once('=').with_context(|| format!("{given:?} is not SECTION__NAME=VALUE"))?);
    }
    Ok(Target::Private(Box::new(PrivateSystem::prepare(2_000, &settings).await?)))
}

/// Handles Ctrl-C and SIGTERM: the first one ends the run in an orderly way, the second one exits the process.
fn stopped_by_signals() -> Result<CancellationToken> {
    let stop = CancellationToken::new();
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let told = stop.clone();
    // This task runs as long as the process.
    tokio::spawn(async move {
        loop {
            tokio::select! { _ = interrupt.recv() => {}, _ = terminate.recv() => {} }
            if told.is_cancelled() {
                std::process::exit(130);
            }
            eprintln!("checker: putting everything back; once more to leave it as it is");
            told.cancel();
        }
    });
    Ok(stop)
}

/// A progress bar on a terminal.
struct Progress(ProgressBar);

impl Progress {
    fn new(faults: usize) -> Self {
        let style = ProgressStyle::with_template("{bar:30} {pos} of {len} faults · {msg} · {elapsed}");
        let bar = ProgressBar::new(faults as u64).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        bar.enable_steady_tick(Duration::from_secs(1));
        bar.set_message("making products");
        Self(bar)
    }

    fn begins(&self, fault: &str) {
        self.0.set_message(fault.to_owned());
    }

    fn done(&self, tell: impl FnOnce()) {
        self.0.suspend(tell);
        self.0.inc(1);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
