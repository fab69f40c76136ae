//! The `checker` command line: the consistency checker, faults, a flood, and private processes.

use std::process::ExitCode;

use checker::{attack, faults, private, verify};
use clap::Parser;
use client::report::exit_code;

#[derive(Debug, Parser)]
#[command(about)]
enum Command {
    /// Reads unknown ids at full speed while Redis has little memory: caches and events must keep working
    Attack(attack::Options),
    /// Makes planned faults, or kills at random, while the checker reads and writes; compares everything after each
    Faults(faults::Options),
    /// Runs a program against the whole system on private processes
    Private(private::Options),
    /// Checks what every cache promises, on the running stack or another implementation, and measures how stale it is
    Verify(verify::Options),
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let done = match Command::parse() {
        Command::Attack(options) => attack::run(&options).await,
        Command::Faults(options) => faults::run_cli(&options).await,
        Command::Private(options) => private::run(&options).await,
        Command::Verify(options) => verify::run_cli(&options).await,
    };
    exit_code("checker", done)
}
