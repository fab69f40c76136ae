//! The `checker` command line: the consistency checker, faults, a flood, and private processes.

use std::process::ExitCode;

use checker::{attack, chaos, faults, private, verify};
use clap::{Parser, Subcommand};

#[derive(Debug, Parser)]
#[command(about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Reads what does not exist at full speed while Redis has little memory: caches and events go on
    Attack(attack::Options),
    /// Writes while everything is killed at random, and proves that nothing is lost
    Chaos(chaos::Options),
    /// Makes faults while the checker reads and writes, and compares everything after each
    Faults(faults::Options),
    /// Runs a program against the whole system on private processes
    Private(private::Options),
    /// Checks what every cache promises, on the running stack or another implementation, and measures how stale it is
    Verify(verify::Options),
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Attack(options) => attack::run(&options).await,
        Command::Chaos(options) => chaos::run_cli(&options).await,
        Command::Faults(options) => faults::run_cli(&options).await,
        Command::Private(options) => private::run(&options).await,
        Command::Verify(options) => verify::run_cli(&options).await,
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("checker: {error:#}");
            ExitCode::FAILURE
        }
    }
}
