//! The `bench` command line.

use std::process::ExitCode;

use bench::{events, search, strategies};
use clap::{Parser, Subcommand};

#[derive(Debug, Parser)]
#[command(about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Measures how long a change takes until it is gone from every cache, and how many changes the relay carries
    Events(events::Options),
    /// Measures the search: building the index, answering, showing a change
    Search(search::Options),
    /// Measures what each strategy costs and how stale it is, beside doing without
    Strategies(strategies::Options),
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Events(options) => events::run(&options).await,
        Command::Search(options) => search::run(&options).await,
        Command::Strategies(options) => strategies::run_cli(&options).await,
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}
