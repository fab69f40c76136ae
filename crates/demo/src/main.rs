//! The `demo` command line: narrated demos and live load.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use demo::{Options, load, show};

#[derive(Debug, Parser)]
#[command(about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Shows what each strategy does, on the running stack, and asserts it
    Show(Options),
    /// Loads the running stack, and shows what it does
    Load(load::Options),
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Show(options) => show::run(&options).await,
        Command::Load(options) => load::run_cli(&options).await,
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("demo: {error:#}");
            ExitCode::FAILURE
        }
    }
}
