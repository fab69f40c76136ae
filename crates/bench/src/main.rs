//! The `bench` command line.

use std::process::ExitCode;

use bench::{batch, cluster, events, memory, search, strategies};
use clap::Parser;
use client::report::exit_code;

#[derive(Debug, Parser)]
#[command(about)]
enum Command {
    /// Measures a batch of 1,000 entries, beside single reads
    Batch(batch::Options),
    /// Measures the cache on one Redis, beside a cluster of three primaries
    Cluster(cluster::Options),
    /// Measures how long a change takes until it is gone from every cache, and how many changes the relay carries
    Events(events::Options),
    /// Measures the cost of a hit over HTTP, beside the caches of other projects
    Hit(strategies::HitOptions),
    /// Measures a hit from the memory of the process, beside the maps of other crates
    Memory(memory::Options),
    /// Measures the search: building the index, answering, showing a change
    Search(search::Options),
    /// Measures what each strategy costs and how stale it is, compared with no cache
    Strategies(strategies::Options),
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let done = match Command::parse() {
        Command::Batch(options) => batch::run(&options).await,
        Command::Cluster(options) => cluster::run(&options).await,
        Command::Events(options) => events::run(&options).await,
        Command::Hit(options) => strategies::run_hits(&options).await,
        Command::Memory(options) => memory::run(&options).await,
        Command::Search(options) => search::run(&options).await,
        Command::Strategies(options) => strategies::run_cli(&options).await,
    };
    exit_code("bench", done)
}
