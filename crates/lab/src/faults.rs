//! Faults under load: one after the other is made while the checker reads and writes, and after each everything is
//! compared.
//!
//! | what must hold | how it is seen |
//! |---|---|
//! | nothing stale after an acknowledged write, where that is promised | the [checker](crate::verify), before, during and after |
//! | no acknowledged write is lost | the versions in Postgres, afterwards |
//! | no read fails while only Redis is away | the checker's reads |
//! | nothing stays stale | every answer from a cache, against a fresh load |
//!
//! On private processes, or on the running stack by its script: natively, or in Compose. What takes a wire that can be cut
//! is done on private processes only.

mod crash;
mod list;
mod report;
mod site;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clap::Args;
use reqwest::Client;
use tokio::time::sleep;

use crate::ground::{self, Ground};
use crate::verify::map::{Map, Promise};
use crate::verify::record::{Nanos, millis};
use crate::verify::{Files, Run, Tally};
use crate::world::{Service, World};
use list::{ALL, Fault, HOLD};
pub use report::{Outcome, Report};
use site::Site;

/// Load before the fault.
const BEFORE: Duration = Duration::from_millis(1_500);
/// Load after its end, at least.
const AFTER: Duration = Duration::from_millis(3_000);
/// How often that is repeated at most, until reads come from the caches again.
const ROUNDS_MORE: u32 = 5;
/// The longest that a service takes to be ready again, and the system to come to rest.
const PATIENCE: Duration = Duration::from_secs(60);
/// These may show for long what is outdated: that is how they work.
const BY_TIME: [&str; 2] = ["ttl", "swr"];
/// These hear of nothing but their own writes.
const BY_THE_WRITER: [&str; 2] = ["explicit", "writethrough"];

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
    /// The folder of the services' programs, for private processes; by default that of this one
    #[arg(long)]
    pub programs: Option<PathBuf>,
    /// The folder for chaos.md and chaos.json
    #[arg(long, default_value = "target/lab")]
    pub report: PathBuf,
}

/// Makes the faults for a person; fails when anything did not hold.
pub async fn tell(options: &Options) -> Result<()> {
    let report = run(options, |outcome| println!("{outcome}")).await?;
    report.save(&options.report)?;
    println!("the same with raw histograms: {}", options.report.join("chaos.json").display());
    let broken = report.outcomes.iter().filter(|outcome| !outcome.holds()).count();
    ensure!(broken == 0, "{broken} faults broke something");
    Ok(())
}

/// Makes the faults, one after the other. An error means that the run itself did not work.
pub async fn run(options: &Options, mut told: impl FnMut(&Outcome)) -> Result<Report> {
    let site = match &options.stack {
        Some(script) => Site::Stack(script.canonicalize().context("the script of the stack")?),
        None => private(options).await?,
    };
    let http = Client::builder().no_proxy().timeout(Duration::from_secs(10)).build()?;
    let mut replaced = Vec::new();
    for service in Service::ALL {
        replaced.push(format!("{}={}", service.name(), site.url(service).await?));
    }
    let mut map = Map::load(None, &replaced)?;
    for subject in &mut map.subjects {
        // How long what may be stale is stale depends on how long the fault lasts.
        if subject.stale != Promise::Never {
            subject.stale = Promise::AtMost(Duration::from_secs(86_400));
        }
    }
    let mut load = Run::prepare(&map, options.products, Files::default(), |_| {}).await?;
    let name = match &site {
        Site::Private(_) => "private processes".to_owned(),
        Site::Stack(script) => format!("the stack of {}", script.display()),
    };
    let mut report = Report { site: name, outcomes: Vec::new() };
    let chosen = |fault: &Fault| {
        options.only.is_empty() || options.only.iter().any(|piece| fault.name().contains(piece.as_str()))
    };
    let faults: Vec<Fault> = ALL.into_iter().filter(|fault| chosen(fault) && fault.is_possible(&site)).collect();
    ensure!(!faults.is_empty(), "there is no such fault here");
    for fault in faults {
        let outcome = one(&site, &http, &mut load, fault).await.with_context(|| fault.name())?;
        told(&outcome);
        report.outcomes.push(outcome);
    }
    load.strike().await;
    Ok(report)
}

async fn private(options: &Options) -> Result<Site> {
    let programs = options.programs.clone().map_or_else(crate::world::programs, Ok)?;
    let settings = [("LOG__FILTER", "warn"), ("EVENTS__CLAIM_AFTER", "1s"), ("POSTGRES__MAX_CONNECTIONS", "12")];
    // Enough that the tag of a category has more members than one call of its drain takes.
    let mut world = World::prepare(programs, 13_000, &settings).await?;
    world.lay_wires().await?;
    world.revive(Service::ProductApi).await?;
    for service in Service::SUBSCRIBERS {
        world.revive(service).await?;
    }
    Ok(Site::Private(Box::new(world)))
}

/// One fault, under load from before it begins until after it has ended.
async fn one(site: &Site, http: &Client, load: &mut Run, fault: Fault) -> Result<Outcome> {
    let witnesses = fault.witnesses(site).await?;
    let clock = load.clock();
    let acting = async {
        sleep(BEFORE).await;
        fault.make(site).await?;
        let lifted = clock.now();
        until_ready(site, http).await?;
        Ok::<(Nanos, Nanos), anyhow::Error>((lifted, clock.now()))
    };
    let (loaded, acted) = tokio::join!(load.round(BEFORE + HOLD + AFTER), acting);
    loaded?;
    let (lifted, ready) = acted?;
    // Some take longer, and after some the caches do: until they have served for a while, there is nothing to compare.
    for _ in 0..ROUNDS_MORE {
        if clock.now().saturating_sub(ready.max(load.trouble)) >= AFTER.as_nanos() as Nanos / 2 {
            break;
        }
        load.round(AFTER).await?;
    }
    let mut wrong = Vec::new();
    let rested = Instant::now();
    loop {
        let unsettled = ground::unsettled(site, http).await;
        if unsettled.is_empty() {
            break;
        }
        if rested.elapsed() > PATIENCE {
            wrong.extend(unsettled);
            break;
        }
        sleep(Duration::from_millis(20)).await;
    }
    let settled = rested.elapsed();
    let subjects = load.take();
    let lost_writes = lost_writes(site, load).await?;
    // What only the writer itself invalidates stays as it is when the writer dies after COMMIT, until its TTL.
    let lasts = |name: &str| BY_TIME.contains(&name) || (fault.kills_writers() && BY_THE_WRITER.contains(&name));
    let mut addresses = load.addresses(|name| !lasts(name));
    addresses.extend(witnesses);
    let compared = ground::compare(site, http, &addresses).await?;
    wrong.extend(compared.wrong);
    let sum = |field: fn(&Tally) -> u64| subjects.iter().map(field).sum();
    let allowed = subjects.iter().filter(|it| it.promise_ms > 0.0 && !BY_TIME.contains(&it.subject.as_str()));
    Ok(Outcome {
        fault: fault.name(),
        ready_ms: millis(ready.saturating_sub(lifted)),
        recovered_ms: millis(load.trouble.saturating_sub(lifted)),
        settled_ms: settled.as_secs_f64() * 1e3,
        reads: sum(|tally| tally.reads),
        failed_reads: sum(|tally| tally.failed_reads),
        reads_must_not_fail: fault.is_of_redis_alone(),
        writes: sum(|tally| tally.writes),
        deferred: sum(|tally| tally.deferred),
        failed_writes: sum(|tally| tally.failed_writes),
        broken: sum(Tally::broken),
        longest_allowed_ms: allowed.map(Tally::max_staleness_ms).fold(0.0, f64::max),
        lost_writes,
        compared: compared.compared,
        hits: compared.hits.iter().sum(),
        wrong,
        subjects,
    })
}

async fn until_ready(site: &Site, http: &Client) -> Result<()> {
    let began = Instant::now();
    for service in Service::ALL {
        let url = format!("{}/readyz", site.url(service).await?);
        while !http.get(&url).send().await.is_ok_and(|answer| answer.status().is_success()) {
            ensure!(began.elapsed() < PATIENCE, "{} is not ready {PATIENCE:?} after the fault", service.name());
            sleep(Duration::from_millis(10)).await;
        }
    }
    Ok(())
}

/// Acknowledged writes that the database does not have.
async fn lost_writes(site: &Site, load: &Run) -> Result<u64> {
    let rows = site.sql("shop_db", "SELECT id, version FROM products").await?;
    let parse = |row: &str| -> Option<(u64, u32)> {
        let (id, version) = row.split_once('|')?;
        Some((id.parse().ok()?, version.parse().ok()?))
    };
    let versions: std::collections::HashMap<u64, u32> = rows.lines().filter_map(parse).collect();
    let missing = |(id, acknowledged): &(u64, u32)| versions.get(id).is_none_or(|version| version < acknowledged);
    Ok(load.acknowledged().iter().filter(|written| missing(written)).count() as u64)
}
