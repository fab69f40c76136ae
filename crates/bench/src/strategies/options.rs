//! The command line of the benchmark.

use std::path::PathBuf;

use clap::Args;

/// The options of `bench strategies`.
#[derive(Clone, Debug, Args)]
pub struct Options {
    /// Rounds; each measures every case once
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    pub rounds: u32,
    /// Fewer measurements, in less than a minute: a preview, not a comparison
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
