//! Measures the cost and the staleness of each strategy, and of the alternatives without it: the table of the README.
//!
//! Every case serves the same products over HTTP. The server under test has one core and one worker; the load, Redis
//! and Postgres share another core. The cases take turns, round by round, and each round begins with another case, so
//! that a figure is compared with figures of the same minute. Quantiles are taken from the merged histograms of all
//! rounds, and are reported with the least and the greatest of the rounds. The other load of the machine is measured
//! and reported too.
//!
//! | case | |
//! |---|---|
//! | `constant` | a bare actix handler without any store: the cost of HTTP |
//! | `get` | a bare handler with one fred `GET`: the minimum cost of a hit |
//! | `no cache` | the product API's plain routes |
//! | `naive` | cache-aside as it is usually written by hand (`src/bin/baseline.rs`), with all its races |
//! | the seven strategies | |
//!
//! Latency is measured in an open loop (`traffic.rs`), peak rates in a closed one (`wrk`).

mod cases;
mod cold_start;
mod cost;
mod figures;
mod goals;
mod growth;
mod latency;
mod machine;
mod mixed;
mod page;
mod phases;
mod plots;
mod race;
mod reliability;
mod report;
mod scale;
mod scaling;
mod tables;
mod tags;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clap::Args;
use client::cpu::Stolen;
use indicatif::{ProgressBar, ProgressStyle};

use crate::wrk::Wrk;
use cases::TestBench;
use figures::Figures;

/// The options of `bench strategies`.
#[derive(Clone, Debug, Args)]
pub struct Options {
    /// Rounds; each measures every case once
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    pub rounds: u32,
    /// Less of everything, in less than a minute: for a look, not for a comparison
    #[arg(long, conflicts_with = "readme")]
    pub quick: bool,
    /// Core of the server
    #[arg(long, default_value_t = 0)]
    pub server_core: usize,
    /// Core of the load, Redis and Postgres
    #[arg(long, default_value_t = 1)]
    pub load_core: usize,
    /// The folder for bench.json with the raw histograms, bench.md and the plots [default: target/reports,
    /// or target/reports/quick]
    #[arg(long)]
    pub report: Option<PathBuf>,
    /// Measure nothing: take the figures from this bench.json
    #[arg(long, conflicts_with = "quick")]
    pub from: Option<PathBuf>,
    /// Write the table into this file, between its markers, and the figures and plots to docs/bench beside it
    #[arg(long)]
    pub readme: Option<PathBuf>,
}

/// The amount of every measurement.
#[derive(Clone, Copy, Debug)]
struct Extent {
    rounds: u32,
    /// Duration of each open-loop measurement.
    hits: Duration,
    misses: Duration,
    writes: Duration,
    /// Duration of the reads with some writes during which Redis' commands are counted.
    counted: Duration,
    /// Duration of the mixed load of all cases together; 0 for none. It is longer than a TTL.
    mixed: Duration,
    /// Number of trials of the stale-fill race, and how long stale entries are watched: longer than the TTL of `ttl`.
    races: u32,
    watched: Duration,
    /// Repetitions of the cold start, and the maximum time for each recovery.
    cold_starts: u32,
    recovery: Duration,
    /// Number of writes that are followed by a read.
    read_backs: u32,
    /// Whether the reference's peak is measured next to that of every case, or once a round.
    beside: bool,
    /// Whether the loads of the case without a cache are counted, which takes half a minute.
    counts_loads: bool,
    /// Duration of each open-loop measurement at one size of the catalogue, and its number of rounds.
    growth: Duration,
    growth_rounds: u32,
    /// Numbers of members of a tag.
    members: &'static [usize],
    /// Numbers of entries in Redis.
    entries: &'static [usize],
    /// Numbers of processes of the product API.
    processes: &'static [usize],
}

/// In five rounds: 10,000 hits, 3,300 misses and 2,250 writes of each case.
const FULL: Extent = Extent {
    rounds: 5,
    hits: Duration::from_millis(2_000),
    misses: Duration::from_millis(2_200),
    writes: Duration::from_millis(3_000),
    counted: Duration::from_millis(1_000),
    mixed: Duration::from_secs(25),
    races: 40,
    watched: Duration::from_secs(12),
    cold_starts: 3,
    recovery: Duration::from_secs(8),
    read_backs: 100,
    beside: true,
    counts_loads: true,
    growth: Duration::from_millis(500),
    growth_rounds: 3,
    members: &[10, 1_000, 100_000],
    entries: &[1_000, 100_000, 1_000_000],
    processes: &[1, 2, 4],
};

const QUICK: Extent = Extent {
    rounds: 1,
    hits: Duration::from_millis(200),
    misses: Duration::from_millis(200),
    writes: Duration::from_millis(200),
    counted: Duration::from_millis(100),
    mixed: Duration::from_secs(2),
    races: 5,
    watched: Duration::from_millis(200),
    cold_starts: 0,
    recovery: Duration::ZERO,
    read_backs: 10,
    beside: false,
    counts_loads: false,
    growth: Duration::from_millis(100),
    growth_rounds: 1,
    members: &[10, 1_000],
    entries: &[10_000],
    processes: &[],
};

/// Maximum duration of a quick run.
const QUICK_AT_MOST: Duration = Duration::from_secs(60);

/// Runs all measurements, prints the results and writes the files.
pub async fn run_cli(options: &Options) -> Result<()> {
    ensure!(options.server_core != options.load_core, "the server and its load need a core each");
    let began = Instant::now();
    let extent = match options.quick {
        true => QUICK,
        false => Extent { rounds: options.rounds, ..FULL },
    };
    let figures = match &options.from {
        Some(file) => report::load(file)?,
        None => measure(options, &extent).await?,
    };
    println!("{}", tables::markdown(&figures));
    if options.from.is_none() {
        let folder = if options.quick { "target/reports/quick" } else { "target/reports" };
        report::save(&figures, options.report.as_deref().unwrap_or(Path::new(folder)))?;
    }
    goals::check(&figures)?;
    if let Some(readme) = &options.readme {
        report::publish(&figures, readme)?;
    }
    println!("in {:.0} s", began.elapsed().as_secs_f64());
    ensure!(
        !options.quick || began.elapsed() <= QUICK_AT_MOST,
        "a quick look must not take more than {QUICK_AT_MOST:?}"
    );
    Ok(())
}

/// Checks that the table in this file was generated from the figures next to it.
pub fn is_as_measured(readme: &Path) -> Result<()> {
    report::check(readme)
}

async fn measure(options: &Options, extent: &Extent) -> Result<Figures> {
    let progress = Progress::new();
    progress.show("starting Postgres, Redis and the servers");
    let mut bench = TestBench::start(options.server_core, options.load_core).await?;
    let mut figures = Figures::new(machine::describe(&bench).await?, extent.rounds, options.quick);
    let wrk = Wrk { connections: 64, seconds: 1, core: options.load_core };
    for case in bench.cases() {
        // This adds the cases in the order in which they are reported.
        figures.of(&case.name);
    }
    for round in 1..=extent.rounds {
        let stolen = Stolen::now()?;
        for case in bench.in_turn(round) {
            progress.show(&format!("round {round} of {}: {}", extent.rounds, case.name));
            let sample = phases::measure(&bench, case, extent, round, wrk).await;
            figures.of(&case.name).rounds.push(sample.with_context(|| case.name.clone())?);
        }
        figures.complete_peaks();
        progress.show(&format!("round {round} of {}: all at once, {:?}", extent.rounds, extent.mixed));
        for (case, sample) in mixed::measure(&bench, extent).await? {
            figures.of(&case).mixed.push(sample);
        }
        for case in bench.cases().iter().filter(|case| case.caches()) {
            progress.show(&format!("round {round} of {}: the stale-fill race, {}", extent.rounds, case.name));
            let race = race::measure(&bench, case, extent, round).await;
            figures.of(&case.name).races.push(race.with_context(|| case.name.clone())?);
        }
        figures.steal.push(stolen.share_since()?);
    }
    progress.show("cold starts");
    figures.cold_starts = cold_start::measure(&mut bench, extent, options).await?;
    progress.show("several processes");
    figures.processes = growth::processes(&mut bench, extent, options).await?;
    progress.show("filling Redis");
    figures.entries = growth::entries(&mut bench, extent, options).await?;
    drop(bench);
    progress.show("invalidating tags");
    figures.tags = tags::measure(extent, options.server_core).await?;
    figures.pool();
    Ok(figures)
}

/// Progress: one line that is updated on a terminal, otherwise new lines.
struct Progress(ProgressBar);

impl Progress {
    fn new() -> Self {
        let style = ProgressStyle::with_template("{spinner} {elapsed} · {msg}");
        let bar = ProgressBar::new_spinner().with_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
        bar.enable_steady_tick(Duration::from_millis(200));
        Self(bar)
    }

    fn show(&self, what: &str) {
        self.0.set_message(what.to_owned());
        if self.0.is_hidden() {
            eprintln!("{what}");
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
