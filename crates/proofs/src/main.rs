//! The `proofs` command line: the model, the mutants and the patch that adds a strategy.

use std::process::ExitCode;

use clap::Parser;
use client::report::exit_code;
use proofs::{model, mutants, near_mutants, new_strategy};

#[derive(Debug, Parser)]
#[command(about)]
enum Command {
    /// Explores every order of steps of the cache's protocol, whole and without each of its defences
    Model(model::Options),
    /// Removes each defence from the cache's scripts, one at a time; a test must fail each time
    Mutants(mutants::Options),
    /// Removes each defence from the near cache, one at a time; a test must fail each time, and the checker must find the stale reads that become possible
    NearMutants(near_mutants::Options),
    /// Adds the strategy of CONTRIBUTING.md to a copy of the checkout, and tests it
    NewStrategy(new_strategy::Options),
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let done = match Command::parse() {
        Command::Model(options) => model::run_cli(&options),
        Command::Mutants(options) => mutants::run_cli(&options).await,
        Command::NearMutants(options) => near_mutants::run_cli(&options),
        Command::NewStrategy(options) => new_strategy::run_cli(&options),
    };
    exit_code("proofs", done)
}
