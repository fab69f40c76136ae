//! The `lab` command line: `lab --help` lists the experiments.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use lab::{
    attack, bench_events, bench_search, bench_strategies, chaos, demo, faults, load, model, mutants, private, verify,
};

#[derive(Debug, Parser)]
#[command(about)]
struct Cli {
    #[command(subcommand)]
    experiment: Experiment,
}

#[derive(Debug, Subcommand)]
enum Experiment {
    /// Reads what does not exist at full speed while Redis has little memory: caches and events go on
    Attack(attack::Options),
    /// Measures what each strategy costs and how stale it is, beside doing without
    Bench(bench_strategies::Options),
    /// Measures how long a change takes until it is gone from every cache, and how many changes the relay carries
    BenchEvents(bench_events::Options),
    /// Measures the search: building the index, answering, showing a change
    BenchSearch(bench_search::Options),
    /// Writes while everything is killed at random, and proves that nothing is lost
    Chaos(chaos::Options),
    /// Shows what each strategy does, on the running stack, and asserts it
    Demo(demo::Options),
    /// Makes faults while the checker reads and writes, and compares everything after each
    Faults(faults::Options),
    /// Loads the running stack, and shows what it does
    Load(load::Options),
    /// Explores every order of steps of the cache's protocol, whole and without each of its defences
    Model(model::Options),
    /// Takes each defence out of the cache's scripts, one at a time: the tests must notice
    Mutants(mutants::Options),
    /// Runs a program against the whole system on private processes
    Private(private::Options),
    /// Checks what every cache promises, on the running stack or another implementation, and measures how stale it is
    Verify(verify::Options),
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let done = match Cli::parse().experiment {
        Experiment::Attack(options) => attack::run(&options).await,
        Experiment::Bench(options) => bench_strategies::run_cli(&options).await,
        Experiment::BenchEvents(options) => bench_events::run(&options).await,
        Experiment::BenchSearch(options) => bench_search::run(&options).await,
        Experiment::Chaos(options) => chaos::run_cli(&options).await,
        Experiment::Demo(options) => demo::run(&options).await,
        Experiment::Faults(options) => faults::run_cli(&options).await,
        Experiment::Load(options) => load::run_cli(&options).await,
        Experiment::Model(options) => model::run_cli(&options),
        Experiment::Mutants(options) => mutants::run_cli(&options).await,
        Experiment::Private(options) => private::run(&options).await,
        Experiment::Verify(options) => verify::run_cli(&options).await,
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("lab: {error:#}");
            ExitCode::FAILURE
        }
    }
}
