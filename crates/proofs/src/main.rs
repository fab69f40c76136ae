//! The `proofs` command line: the model and the mutants.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use proofs::{model, mutants};

#[derive(Debug, Parser)]
#[command(about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Explores every order of steps of the cache's protocol, whole and without each of its defences
    Model(model::Options),
    /// Takes each defence out of the cache's scripts, one at a time: the tests must notice
    Mutants(mutants::Options),
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Model(options) => model::run_cli(&options),
        Command::Mutants(options) => mutants::run_cli(&options).await,
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("proofs: {error:#}");
            ExitCode::FAILURE
        }
    }
}
