//! The `lab` command line: `lab --help` lists the experiments.

use clap::{Parser, Subcommand};
use lab::bench_hit;

#[derive(Debug, Parser)]
#[command(about)]
struct Cli {
    #[command(subcommand)]
    experiment: Experiment,
}

#[derive(Debug, Subcommand)]
enum Experiment {
    /// Measures a cache hit over HTTP, per lane, beside a bare handler that does one Redis GET
    BenchHit(bench_hit::Options),
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    match Cli::parse().experiment {
        Experiment::BenchHit(options) => bench_hit::run(&options).await,
    }
}
