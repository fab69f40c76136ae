//! The command line, and the amount of every measurement.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

/// The share of writes in a load that has some.
pub(super) const WRITE_SHARE: f64 = 0.05;
/// The exponent of Zipf's law in such a load: about that of requests to web caches (Breslau et al., INFOCOM 1999).
pub(super) const SKEW: f64 = 0.9;

/// The amount of every measurement.
#[derive(Clone, Copy, Debug)]
pub(super) struct Extent {
    pub(super) rounds: u32,
    /// Duration of each open-loop measurement.
    pub(super) hits: Duration,
    pub(super) misses: Duration,
    pub(super) writes: Duration,
    /// Duration of the reads with some writes during which Redis' commands are counted.
    pub(super) counted: Duration,
    /// Duration of the mixed load of all cases together; 0 for none. It is longer than a TTL.
    pub(super) mixed: Duration,
    /// Number of trials of the stale-fill race, and how long stale entries are watched: longer than the TTL of `ttl`.
    pub(super) races: u32,
    pub(super) watched: Duration,
    /// Repetitions of the cold start, and the maximum time for each recovery.
    pub(super) cold_starts: u32,
    pub(super) recovery: Duration,
    /// Number of writes that are followed by a read.
    pub(super) read_backs: u32,
    /// Whether the reference's peak is measured next to that of every case, or once a round.
    pub(super) beside: bool,
    /// Whether the loads of the case without a cache are counted, which takes half a minute.
    pub(super) counts_loads: bool,
    /// Duration of each open-loop measurement at one size of the catalogue, and its number of rounds.
    pub(super) growth: Duration,
    pub(super) growth_rounds: u32,
    /// Numbers of members of a tag.
    pub(super) members: &'static [usize],
    /// Numbers of entries in Redis.
    pub(super) entries: &'static [usize],
    /// Numbers of processes of the product API.
    pub(super) processes: &'static [usize],
}

/// In five rounds: 10,000 hits, 3,300 misses and 2,250 writes of each case.
pub(super) const FULL: Extent = Extent {
    rounds: 5,
    hits: Duration::from_millis(2_000),
    misses: Duration::from_millis(2_200),
    writes: Duration::from_millis(3_000),
    counted: Duration::from_millis(1_000),
    mixed: Duration::from_secs(25),
    races: 40,
    watched: Duration::from_secs(12),
    cold_starts: 3,
    recovery: Duration::from_secs(20),
    read_backs: 100,
    beside: true,
    counts_loads: true,
    growth: Duration::from_millis(500),
    growth_rounds: 3,
    members: &[10, 1_000, 100_000],
    entries: &[1_000, 100_000, 1_000_000],
    processes: &[1, 2, 4],
};

pub(super) const QUICK: Extent = Extent {
    rounds: 1,
    hits: Duration::from_millis(200),
    misses: Duration::from_millis(200),
    writes: Duration::from_millis(200),
    counted: Duration::from_millis(100),
    mixed: Duration::from_secs(2),
    races: 5,
    watched: Duration::from_millis(200),
    cold_starts: 0,
    recovery: Duration::ZERO,
    read_backs: 10,
    beside: false,
    counts_loads: false,
    growth: Duration::from_millis(100),
    growth_rounds: 1,
    members: &[10, 1_000],
    entries: &[10_000],
    processes: &[],
};

/// The options of `bench strategies`.
#[derive(Clone, Debug, Args)]
pub struct Options {
    /// Rounds; each measures every case once
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    pub rounds: u32,
    /// Fewer measurements, in less than a minute: a preview, not a comparison
    #[arg(long, conflicts_with = "readme")]
    pub quick: bool,
    /// Core of the server
    #[arg(long, default_value_t = 0)]
    pub server_core: usize,
    /// Core of the load, Redis and Postgres
    #[arg(long, default_value_t = 1)]
    pub load_core: usize,
    /// The folder for bench.json with the raw histograms, bench.md and the plots [default: target/reports,
    /// or target/reports/quick]
    #[arg(long)]
    pub report: Option<PathBuf>,
    /// Measure nothing: take the figures from this bench.json
    #[arg(long, conflicts_with = "quick")]
    pub from: Option<PathBuf>,
    /// Write the table into this file, between its markers, and the figures and plots to docs/bench beside it
    #[arg(long)]
    pub readme: Option<PathBuf>,
}
