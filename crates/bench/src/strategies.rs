//! Measures the cost and the staleness of each strategy and of the alternatives: the table of the README.
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

mod case_figures;
mod cases;
mod cells;
mod cold_start;
mod cost;
mod extent;
mod figures;
mod growth;
mod hits;
mod latency;
mod mixed;
mod phases;
mod plots;
mod race;
mod reliability;
mod report;
mod scaling;
mod tables;
mod tags;

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use client::cpu::Stolen;
use client::report::progress_bar;
use indicatif::ProgressBar;

use crate::wrk::Wrk;
use cases::TestBench;
pub use extent::Options;
use extent::{Extent, FULL, QUICK};
use figures::Figures;
pub use hits::{HitOptions, run as run_hits};

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
    reliability::check(&figures)?;
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
    let progress = progress_bar(0, "{spinner} {elapsed} · {msg}");
    progress.enable_steady_tick(Duration::from_millis(200));
    let show = |what: &str| show(&progress, what);
    show("starting Postgres, Redis and the servers");
    let mut bench = TestBench::start(options.server_core, options.load_core).await?;
    let mut figures = Figures::new(figures::describe(&bench).await?, extent.rounds, options.quick);
    let wrk = Wrk { connections: 64, seconds: 1, core: options.load_core };
    for case in bench.cases() {
        // This adds the cases in the order in which they are reported.
        figures.of(&case.name);
    }
    for round in 1..=extent.rounds {
        let stolen = Stolen::now()?;
        for case in bench.in_turn(round) {
            show(&format!("round {round} of {}: {}", extent.rounds, case.name));
            let sample = phases::measure(&bench, case, extent, round, wrk).await;
            figures.of(&case.name).rounds.push(sample.with_context(|| case.name.clone())?);
        }
        figures.complete_peaks();
        show(&format!("round {round} of {}: all at once, {:?}", extent.rounds, extent.mixed));
        for (case, sample) in mixed::measure(&bench, extent).await? {
            figures.of(&case).mixed.push(sample);
        }
        for case in bench.cases().iter().filter(|case| case.caches()) {
            show(&format!("round {round} of {}: the stale-fill race, {}", extent.rounds, case.name));
            let race = race::measure(&bench, case, extent, round).await;
            figures.of(&case.name).races.push(race.with_context(|| case.name.clone())?);
        }
        figures.steal.push(stolen.share_since()?);
    }
    show("cold starts");
    figures.cold_starts = cold_start::measure(&mut bench, extent, options).await?;
    show("several processes");
    figures.processes = growth::processes(&mut bench, extent, options).await?;
    show("filling Redis");
    figures.entries = growth::entries(&mut bench, extent, options).await?;
    drop(bench);
    show("invalidating tags");
    figures.tags = tags::measure(extent, options.server_core).await?;
    figures.pool();
    Ok(figures)
}

/// Shows what is measured: on a line that is updated on a terminal, otherwise on new lines.
fn show(progress: &ProgressBar, what: &str) {
    progress.set_message(what.to_owned());
    if progress.is_hidden() {
        eprintln!("{what}");
    }
}
