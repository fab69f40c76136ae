//! The load generator: `wrk`, one thread, closed loop.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tokio::process::Command;

use super::cores;

/// The parameters of a run.
#[derive(Debug, Clone, Copy)]
pub struct Wrk {
    /// Connections, each with one request at a time.
    pub connections: u32,
    /// Duration of a run.
    pub seconds: u32,
    /// The core on which it runs.
    pub core: usize,
}

/// The result of a run.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Load {
    /// Requests that received a response.
    pub requests: u64,
    /// Requests per second.
    pub rate: f64,
    /// Median response time.
    pub p50: Duration,
    /// 99th percentile of the response times.
    pub p99: Duration,
}

impl Wrk {
    /// Loads `url`. A response without success, or a broken connection, is an error: such a run measures nothing.
    pub async fn run(&self, url: &str) -> Result<Load> {
        let mut command = Command::from(cores::command_on(self.core, "wrk"));
        command.args(["--latency", "-t1", &format!("-c{}", self.connections), &format!("-d{}s", self.seconds), url]);
        let output = command.kill_on_drop(true).output().await.context("cannot run taskset and wrk")?;
        let text = String::from_utf8_lossy(&output.stdout);
        let complaint = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{text}{complaint}\nIs wrk installed? apt-get install wrk");
        parse(&text).with_context(|| format!("loading {url}, wrk said:\n{text}"))
    }
}

fn parse(text: &str) -> Result<Load> {
    for failure in ["Non-2xx or 3xx responses:", "Socket errors:"] {
        ensure!(!text.contains(failure), "there were failures");
    }
    let after = |label: &str| -> Result<&str> {
        let line = text.lines().find_map(|line| line.trim().strip_prefix(label));
        line.map(str::trim).with_context(|| format!("no line {label:?}"))
    };
    let requests =
        text.lines().find_map(|line| line.trim().split_once(" requests in ")).context("no line of requests")?;
    Ok(Load {
        requests: requests.0.parse()?,
        rate: after("Requests/sec:")?.parse()?,
        p50: duration(after("50%")?)?,
        p99: duration(after("99%")?)?,
    })
}

/// Parses `812.00us`, `1.37ms` or `2.01s`.
fn duration(text: &str) -> Result<Duration> {
    let unit = text.find(|c: char| c.is_ascii_alphabetic()).context("a time without a unit")?;
    let (number, unit) = text.split_at(unit);
    let seconds = match unit {
        "us" => 1e-6,
        "ms" => 1e-3,
        "s" => 1.0,
        _ => anyhow::bail!("an unknown unit of time in {text:?}"),
    };
    Ok(Duration::from_secs_f64(number.parse::<f64>()? * seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    const RUN: &str = "Running 4s test @ http://127.0.0.1:8004/
  1 threads and 64 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     1.45ms  512.03us   9.60ms   85.11%
    Req/Sec    43.50k     3.20k   49.10k    70.00%
  Latency Distribution
     50%  812.00us
     75%    1.60ms
     90%    2.01ms
     99%    3.25ms
  173234 requests in 4.00s, 77.31MB read
Requests/sec:  43293.21
Transfer/sec:     19.32MB
";

    #[test]
    fn wrk_output_is_parsed() {
        let load = parse(RUN).unwrap();
        assert_eq!((load.requests, load.rate), (173_234, 43_293.21));
        assert_eq!((load.p50, load.p99), (Duration::from_micros(812), Duration::from_micros(3250)));
    }

    #[test]
    fn wrk_run_with_failures_is_an_error() {
        for failure in ["  Non-2xx or 3xx responses: 12\n", "  Socket errors: connect 0, read 3, write 0, timeout 0\n"]
        {
            assert!(parse(&format!("{RUN}{failure}")).is_err());
        }
    }
}
