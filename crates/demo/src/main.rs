//! The `demo` command line: narrated demos and live load.

use std::process::ExitCode;

use clap::Parser;
use client::report::exit_code;
use demo::{Options, list, load};

#[derive(Debug, Parser)]
#[command(about)]
enum Command {
    /// Shows what each strategy does, on the running stack, and asserts it
    Show(Options),
    /// Lists the strategies as a table in Markdown
    List(list::Options),
    /// Loads the running stack, and shows what it does
    Load(load::Options),
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let done = match Command::parse() {
        Command::Show(options) => demo::run(&options).await,
        Command::List(options) => list::run(&options),
        Command::Load(options) => load::run_cli(&options).await,
    };
    exit_code("demo", done)
}
