//! Faults under load: one after the other is made while the checker reads and writes, and after each everything is
//! compared.
//!
//! | what must hold | how it is seen |
//! |---|---|
//! | nothing stale after an acknowledged write, where that is promised | the [checker](crate::verify), before, during and after |
//! | no acknowledged write is lost | the versions in Postgres, afterwards |
//! | nothing fails while only Redis is away | the checker's reads and writes |
//! | nothing stays stale once all events are carried out, whatever became of the write | every entry of every cache, against a fresh load; somebody with psql has written too |
//!
//! On private processes, or on the running stack by its script: natively, or in Compose.

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
use indicatif::{ProgressBar, ProgressStyle};
use reqwest::Client;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::operations::Operations;
use crate::private_system::{PrivateSystem, Service};
use crate::system::{self, System};
use crate::verify::map::{Map, Promise};
use crate::verify::{Files, Run};
use list::{ALL, Fault};
use make::HOLD;
use one::Stage;
pub use report::{Outcome, Report};
use stack::Stack;
use target::Target;

/// The longest that a service takes to be ready again, and the system to come to rest.
const TIMEOUT: Duration = Duration::from_secs(60);
/// These may show for long what is outdated: that is how they work.
const BY_TIME: [&str; 2] = ["ttl", "swr"];

/// The options of `lab faults`.
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
    /// The folder of the services' programs, for private processes; by default that of this one
    #[arg(long)]
    pub programs: Option<PathBuf>,
    /// A setting of the private processes, SECTION__NAME=VALUE; may be repeated
    #[arg(long = "set", value_name = "SETTING")]
    pub settings: Vec<String>,
    /// The folder for the report: faults-private, faults-native or faults-docker, .md and .json
    #[arg(long, default_value = "target/lab")]
    pub report: PathBuf,
}

/// Makes the faults for a person; fails when anything did not hold.
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

/// Makes the faults, one after the other. What goes wrong in one is in its outcome; an error means that none could be made.
///
/// Ctrl-C ends the fault that lasts, puts back what was changed, and leaves the report of what was done.
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
    if let Target::Private(world) = site {
        for service in Service::ALL {
            world.start_and_wait(service).await?;
        }
    }
    let http = Client::builder()
        .no_proxy()
        .timeout(Duration::from_secs(10))
        .default_headers(options.operations.headers()?)
        .build()?;
    // What lies there from before may have been outdated on purpose, by whoever played with the strategies.
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

/// What is read and written here, and how stale it may be while faults are made.
///
/// What promises to be never stale, promises it in a fault as well. `ttl` and `swr` keep their TTL whatever happens; a load
/// that a fault holds up is stored when the fault is over, after [`HOLD`]. What lives by events is stale
/// until they come, so until the fault is over and everybody has recovered.
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
    let programs = options.programs.clone().map_or_else(crate::private_system::programs, Ok)?;
    let mut settings =
        vec![("LOG__FILTER", "warn"), ("EVENTS__CLAIM_AFTER", "1s"), ("POSTGRES__MAX_CONNECTIONS", "12")];
    for given in &options.settings {
        settings.push(given.split_once('=').with_context(|| format!("{given:?} is not SECTION__NAME=VALUE"))?);
    }
    Ok(Target::Private(Box::new(PrivateSystem::prepare(programs, 2_000, &settings).await?)))
}

/// Ctrl-C, once: the run comes to an end. Twice: this process does.
fn stopped_by_signals() -> Result<CancellationToken> {
    let stop = CancellationToken::new();
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let told = stop.clone();
    // It waits for as long as this process lives.
    tokio::spawn(async move {
        loop {
            tokio::select! { _ = interrupt.recv() => {}, _ = terminate.recv() => {} }
            if told.is_cancelled() {
                std::process::exit(130);
            }
            eprintln!("lab: putting everything back; once more to leave it as it is");
            told.cancel();
        }
    });
    Ok(stop)
}

/// A bar on a terminal.
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
