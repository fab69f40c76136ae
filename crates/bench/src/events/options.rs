//! The command line of the benchmark.

use std::path::PathBuf;

use clap::Args;

/// The options of `bench events`.
#[derive(Debug, Args)]
pub struct Options {
    /// Writes a second in the first part
    #[arg(long, default_value_t = 200)]
    pub(super) rate: u32,
    /// Rows a second in the second part, each committed by itself
    #[arg(long, default_value_t = 2_000)]
    pub(super) rows: u32,
    /// Sessions that write them
    #[arg(long, default_value_t = 4)]
    pub(super) sessions: u32,
    /// Seconds of each round of the first part, and of the second part
    #[arg(long, default_value_t = 20)]
    pub(super) seconds: u32,
    /// Rounds of the first part
    #[arg(long, default_value_t = 5)]
    pub(super) rounds: u32,
    /// Products in the catalogue
    #[arg(long, default_value_t = 2_000)]
    pub(super) products: u32,
    /// Every how many writes one is a probe
    #[arg(long, default_value_t = 10)]
    pub(super) every: u32,
    /// Fail when an entry was not invalidated, p99 from the response is above 20 ms, fewer rows were written than asked for,
    /// or the lag grows
    #[arg(long)]
    pub(super) assert: bool,
    /// Write all figures to this file as well
    #[arg(long)]
    pub(super) json: Option<PathBuf>,
}
