//! Measures the cost of a hit over HTTP beside the caches of other projects: one hot key, in a closed loop.
//!
//! The servers take turns in every round. Each has one worker on one core; the load and Redis share another core.

use std::fmt::Write as _;

use anyhow::{Context, Result, ensure};
use clap::Args;

use super::cases::{Case, TestBench};
use super::phases::peak;
use crate::wrk::Wrk;

/// The options of `bench hit`.
#[derive(Clone, Copy, Debug, Args)]
pub struct HitOptions {
    /// Rounds; each measures every server once
    #[arg(long, default_value_t = 5)]
    pub rounds: usize,
    /// Seconds for each server in a round
    #[arg(long, default_value_t = 2)]
    pub seconds: u32,
    /// Core of the server
    #[arg(long, default_value_t = 0)]
    pub server_core: usize,
    /// Core of the load and Redis
    #[arg(long, default_value_t = 1)]
    pub load_core: usize,
    /// Fail when a target is missed
    #[arg(long)]
    pub assert: bool,
}

/// The servers with other caches, and what they are.
const PEERS: [(&str, &str); 3] = [
    ("redis", "actix, the redis crate by hand"),
    ("cached", "actix, cached on Redis"),
    ("cached-near", "actix, cached with client-side caching"),
];

/// The CPU time of a hit at most, as a multiple of that of another server.
const TARGETS: [(&str, &str, f64); 3] =
    [("production", "constant", 1.15), ("production", "cached-near", 1.0), ("explicit", "redis", 1.0)];

struct Row {
    case: Case,
    what: String,
    /// Requests per second and microseconds of CPU time per request, for each round.
    rounds: Vec<(f64, f64)>,
}

/// Runs the benchmark and prints its table. Fails when a target is missed, if that is asked for.
pub async fn run(options: &HitOptions) -> Result<()> {
    ensure!(options.server_core != options.load_core, "the server and its load need a core each");
    let mut bench = TestBench::start(options.server_core, options.load_core).await?;
    let mut rows: Vec<Row> = Vec::new();
    for case in bench.cases() {
        let what = match case.name.as_str() {
            "constant" => "actix, a constant",
            "get" => "actix, fred with one client",
            "naive" | "no cache" => continue,
            strategy => strategy,
        };
        rows.push(Row { case: case.clone(), what: what.to_owned(), rounds: Vec::new() });
    }
    for (mode, what) in PEERS {
        let (base, pid) = bench.peer(mode, options.server_core).await?;
        let like = rows.first().context("there is no case")?.case.clone();
        let case = Case { name: mode.to_owned(), base, pid, ..like };
        rows.push(Row { case, what: what.to_owned(), rounds: Vec::new() });
    }
    let wrk = Wrk { connections: 32, seconds: options.seconds, core: options.load_core };
    for round in 0..options.rounds {
        eprintln!("round {} of {}", round + 1, options.rounds);
        let count = rows.len();
        for at in 0..count {
            let row = &mut rows[(at + 3 * round) % count];
            // Not counted: the first reads fill the cache, and the memory of the process.
            peak(Wrk { seconds: 1, ..wrk }, &row.case).await?;
            row.rounds.push(peak(wrk, &row.case).await?);
        }
    }
    println!("{}", table(&rows)?);
    let cpu = |name: &str| rows.iter().find(|row| row.case.name == name).map(|row| median(row, |round| round.1));
    let mut missed = String::new();
    for (ours, other, at_most) in TARGETS {
        let ratio =
            cpu(ours).context("there is no row of that name")? / cpu(other).context("there is no row of that name")?;
        println!("{ours} / {other}: {ratio:.2} × the CPU time, at most {at_most}");
        if ratio > at_most {
            write!(missed, " {ours} / {other}: {ratio:.2}, not {at_most}.")?;
        }
    }
    ensure!(!options.assert || missed.is_empty(), "targets are missed:{missed}");
    Ok(())
}

fn table(rows: &[Row]) -> Result<String> {
    let constant = rows.first().context("there is no row")?;
    let mut text =
        String::from("\n| server | CPU per hit, µs | × constant | requests per second |\n|---|---|---|---|\n");
    for row in rows {
        let mut cpu: Vec<f64> = row.rounds.iter().map(|round| round.1).collect();
        cpu.sort_by(f64::total_cmp);
        let (least, most) = (cpu[0], cpu[cpu.len() - 1]);
        let (middle, rate) = (median(row, |round| round.1), median(row, |round| round.0));
        let ratio = middle / median(constant, |round| round.1);
        writeln!(text, "| {} | {middle:.2} ({least:.2}–{most:.2}) | {ratio:.2} | {rate:.0} |", row.what)?;
    }
    Ok(text)
}

fn median(row: &Row, figure: impl Fn(&(f64, f64)) -> f64) -> f64 {
    let mut figures: Vec<f64> = row.rounds.iter().map(figure).collect();
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}
