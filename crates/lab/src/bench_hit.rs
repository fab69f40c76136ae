//! What a cache hit over HTTP costs, beside the least that it could cost.
//!
//! On one core: a server with one worker. On the other: the load, Redis and Postgres. The reference is `get`, a bare
//! handler that does one Redis `GET` (`src/bin/baseline.rs`); each lane of the product API answers the same bytes from
//! its cache. With `--assert`, a lane fails that costs more than 1.1 × the CPU of the reference, or stays below 0.9 of
//! its requests per second.

use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clap::Args;
use testkit::{Postgres, Process, Redis, free_port};
use tokio::time::sleep;

use crate::bench::{Case, Report, Wrk, cores, measure};
use crate::traffic::LANES;

/// The most CPU time that a hit may take, as a multiple of the bare handler's.
const CPU_AT_MOST: f64 = 1.1;
/// The least requests per second that a lane must reach, as a multiple of the bare handler's.
const RATE_AT_LEAST: f64 = 0.9;
/// The case that ratios refer to.
const REFERENCE: &str = "get";
/// The factor by which the reference may vary before the figures are called rough.
const REST: f64 = 1.25;
/// A server that does not answer by then does not work.
const START: Duration = Duration::from_secs(60);

/// The options of `lab bench-hit`.
#[derive(Debug, Args)]
pub struct Options {
    /// Rounds; each measures every case once
    #[arg(long, default_value_t = 15, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Seconds per measurement
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    seconds: u32,
    /// Connections, each with one request at a time
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..))]
    connections: u32,
    /// Core of the server
    #[arg(long, default_value_t = 0)]
    server_core: usize,
    /// Core of the load, Redis and Postgres
    #[arg(long, default_value_t = 1)]
    load_core: usize,
    /// Longest time of a command of the bare handler, in milliseconds; 0 for ever
    #[arg(long, default_value_t = 0)]
    command_timeout: u64,
    /// The lanes to measure, all when absent; `none` measures the baseline alone
    #[arg(long, value_delimiter = ',')]
    lanes: Vec<String>,
    /// Fail when a lane misses its target
    #[arg(long)]
    assert: bool,
    /// Write all figures to this file as well
    #[arg(long)]
    json: Option<PathBuf>,
}

/// The servers under test. They end with this value, and with this process however it ends.
struct Stand {
    cases: Vec<Case>,
    servers: Vec<Process>,
    redis: Redis,
    postgres: Option<Postgres>,
}

/// Runs the benchmark and prints its table.
pub async fn run(options: &Options) -> Result<()> {
    let stand = Stand::start(options).await?;
    let wrk = Wrk { connections: options.connections, seconds: options.seconds, core: options.load_core };
    let http = reqwest::Client::new();
    let samples = measure(wrk, options.rounds, &stand.cases, async |case| strays(&http, case).await).await?;
    let report = Report::new(samples, REFERENCE)?;
    println!(
        "\nServer with 1 worker on core {}; load ({} connections, {} s a run, {} rounds), Redis and Postgres on core {}\n",
        options.server_core, options.connections, options.seconds, options.rounds, options.load_core
    );
    println!("{report}");
    if report.unrest > REST {
        println!(
            "The CPU time of `{REFERENCE}` itself varied by a factor of {:.1}: the machine, or what it runs on, is busy \
             with other things. Trust \"at best\", or run again with more --rounds when it is quiet.",
            report.unrest
        );
    }
    if let Some(file) = &options.json {
        let json = serde_json::to_vec_pretty(&report)?;
        std::fs::write(file, json).with_context(|| format!("cannot write {}", file.display()))?;
    }
    if options.assert { verdict(&report) } else { Ok(()) }
}

fn verdict(report: &Report) -> Result<()> {
    let mut missed = Vec::new();
    for row in report.rows.iter().filter(|row| LANES.contains(&row.name.as_str())) {
        let (cpu, rate) = (row.cpu_ratio.median, row.rate_ratio.median);
        if cpu > CPU_AT_MOST {
            missed.push(format!("{}: {cpu:.2} × the CPU of `{REFERENCE}`, at most {CPU_AT_MOST} is wanted", row.name));
        }
        if rate < RATE_AT_LEAST {
            missed.push(format!(
                "{}: {rate:.2} × the rate of `{REFERENCE}`, at least {RATE_AT_LEAST} is wanted",
                row.name
            ));
        }
    }
    ensure!(missed.is_empty(), "the target is missed\n{}", missed.join("\n"));
    Ok(())
}

/// Waits until the case answers with success, and a lane from its cache. Returns how many reads were no hits so far.
async fn strays(http: &reqwest::Client, case: &Case) -> Result<u64> {
    let deadline = Instant::now() + START;
    loop {
        let answer = http.get(&case.url).send().await?.error_for_status()?;
        if !LANES.contains(&case.name.as_str()) {
            return Ok(0);
        }
        let status = answer.headers().get("cache-status").and_then(|value| value.to_str().ok()).unwrap_or_default();
        if status.split(';').any(|part| part.trim() == "hit") {
            break;
        }
        ensure!(Instant::now() < deadline, "{} is no hit: its Cache-Status is {status:?}", case.url);
        sleep(Duration::from_millis(50)).await;
    }
    let (server, _) = case.url.split_once("/products/").context("a lane lies under /products")?;
    let metrics = http.get(format!("{server}/metrics")).send().await?.error_for_status()?.text().await?;
    Ok(reads_but_hits(&metrics))
}

/// Sums `cache_reads_total` over all outcomes except `hit`.
fn reads_but_hits(metrics: &str) -> u64 {
    let reads = metrics.lines().filter(|line| line.starts_with("cache_reads_total{"));
    let others = reads.filter(|line| !line.contains("outcome=\"hit\""));
    others.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum()
}

impl Stand {
    async fn start(options: &Options) -> Result<Self> {
        let redis = Redis::start().await?;
        cores::pin(redis.pid(), options.load_core)?;
        let mut stand = Self { cases: Vec::new(), servers: Vec::new(), redis, postgres: None };
        let lanes = lanes(options)?;
        let mut body = format!("{{\"description\":\"{}\"}}", "x".repeat(280));
        let mut lane_cases = Vec::new();
        if !lanes.is_empty() {
            (lane_cases, body) = stand.product_api(options, &lanes).await?;
        }
        stand.redis.cli(&["SET", "baseline:1", &body]).await?;
        for mode in ["constant", REFERENCE, "get-per-worker"] {
            let case = stand.baseline(options, mode).await?;
            stand.cases.push(case);
        }
        stand.cases.extend(lane_cases);
        Ok(stand)
    }

    async fn baseline(&mut self, options: &Options, mode: &str) -> Result<Case> {
        let port = free_port();
        let mut command = cores::command_on(options.server_core, beside_us("baseline")?);
        command.args([mode, "--port", &port.to_string(), "--redis", &self.redis.url()]);
        command.args(["--command-timeout", &options.command_timeout.to_string()]);
        let url = format!("http://127.0.0.1:{port}/1");
        let pid = self.serve(&command, &url).await?;
        Ok(Case { name: mode.to_owned(), url, pid })
    }

    /// Starts the product API, and reads each lane once so that it is cached. Returns that body beside the cases.
    async fn product_api(&mut self, options: &Options, lanes: &[&str]) -> Result<(Vec<Case>, String)> {
        let postgres = Postgres::start().await?;
        cores::pin(postgres.pid(), options.load_core)?;
        let port = free_port().to_string();
        let mut command = cores::command_on(options.server_core, beside_us("product-api")?);
        command.envs([("HTTP__WORKERS", "1"), ("HTTP__HOST", "127.0.0.1"), ("HTTP__PORT", &port)]);
        command.envs([("POSTGRES__URL", postgres.create_database("shop_db").await?), ("REDIS__URL", self.redis.url())]);
        command.env("SEED_PRODUCTS", "200");
        for lane in LANES {
            // So long that no entry grows old during the run.
            command.env(format!("LANES__{}__HARD_TTL", lane.to_uppercase()), "24h");
        }
        command.envs([("LANES__SWR__SOFT_TTL", "23h"), ("LANES__PRODUCTION__SOFT_TTL", "23h")]);
        self.postgres = Some(postgres);
        let pid = self.serve(&command, &format!("http://127.0.0.1:{port}/readyz")).await?;

        let mut body = String::new();
        let mut cases = Vec::new();
        for lane in lanes {
            let url = format!("http://127.0.0.1:{port}/products/{lane}/1");
            body = reqwest::get(&url).await?.error_for_status()?.text().await?;
            cases.push(Case { name: (*lane).to_owned(), url, pid });
        }
        Ok((cases, body))
    }

    async fn serve(&mut self, command: &Command, url: &str) -> Result<u32> {
        let process = Process::start(command)?;
        process.wait_for_http(url, START).await?;
        let pid = process.pid();
        self.servers.push(process);
        Ok(pid)
    }
}

fn lanes(options: &Options) -> Result<Vec<&str>> {
    match options.lanes.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        [] => Ok(LANES.to_vec()),
        ["none"] => Ok(Vec::new()),
        names => {
            let unknown = names.iter().find(|name| !LANES.contains(name));
            ensure!(unknown.is_none(), "there is no lane {unknown:?}; there are {}", LANES.join(", "));
            Ok(names.to_vec())
        }
    }
}

/// A program that was built with this one.
fn beside_us(name: &str) -> Result<PathBuf> {
    let file = std::env::current_exe()?.with_file_name(name);
    ensure!(file.is_file(), "{} does not exist; `make bench-hit` builds it", file.display());
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hits_are_no_strays() {
        let metrics = "# TYPE cache_reads_total counter
cache_reads_total{keyspace=\"product\",lane=\"ttl\",outcome=\"hit\"} 1000
cache_reads_total{keyspace=\"product\",lane=\"ttl\",outcome=\"miss\"} 2
cache_reads_total{keyspace=\"product\",lane=\"tags\",outcome=\"bypass\"} 3
cache_loads_total{keyspace=\"product\",lane=\"ttl\",source=\"database\"} 70
";
        assert_eq!(reads_but_hits(metrics), 5);
    }
}
