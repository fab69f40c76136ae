//! The load generator `wrk` (one thread, closed loop), and functions that restrict a process to one core.

use std::ffi::OsStr;
use std::process::Command;

use anyhow::{Context, Result, ensure};

/// The parameters of a run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wrk {
    /// Connections, each with one request at a time.
    pub(crate) connections: u32,
    /// Duration of a run.
    pub(crate) seconds: u32,
    pub(crate) core: usize,
}

/// The result of a run.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct WrkResult {
    /// Requests that received a response.
    pub(crate) requests: u64,
    /// Requests per second.
    pub(crate) rate: f64,
}

impl Wrk {
    /// Sends requests to `url`. A response without success, or a broken connection, is an error: such a run measures
    /// nothing.
    pub(crate) async fn run(&self, url: &str) -> Result<WrkResult> {
        let mut command = tokio::process::Command::from(command_on(self.core, "wrk"));
        command.args(["-t1", &format!("-c{}", self.connections), &format!("-d{}s", self.seconds), url]);
        let output = command.kill_on_drop(true).output().await.context("cannot run taskset and wrk")?;
        let text = String::from_utf8_lossy(&output.stdout);
        let errors = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{text}{errors}\nIs wrk installed? apt-get install wrk");
        parse(&text).with_context(|| format!("the output of wrk for {url} cannot be used:\n{text}"))
    }
}

fn parse(text: &str) -> Result<WrkResult> {
    for failure in ["Non-2xx or 3xx responses:", "Socket errors:"] {
        ensure!(!text.contains(failure), "some requests failed");
    }
    let rate = text.lines().find_map(|line| line.strip_prefix("Requests/sec:")).context("wrk printed no rate")?;
    let requests = text
        .lines()
        .find_map(|line| line.trim().split_once(" requests in "))
        .context("wrk printed no number of requests")?;
    Ok(WrkResult { requests: requests.0.parse()?, rate: rate.trim().parse()? })
}

/// Returns a command that starts `program` on one core.
pub(crate) fn command_on(core: usize, program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new("taskset");
    command.args(["-c", &core.to_string()]).arg(program);
    command
}

/// Moves a running process, with all its threads, to one core. Its future children follow.
pub(crate) fn pin(pid: u32, core: usize) -> Result<()> {
    let output = Command::new("taskset")
        .args(["-acp", &core.to_string(), &pid.to_string()])
        .output()
        .context("cannot run taskset; apt-get install util-linux")?;
    ensure!(output.status.success(), "taskset failed: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const RUN: &str = "Running 4s test @ http://127.0.0.1:8004/
  1 threads and 64 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     1.45ms  512.03us   9.60ms   85.11%
    Req/Sec    43.50k     3.20k   49.10k    70.00%
  173234 requests in 4.00s, 77.31MB read
Requests/sec:  43293.21
Transfer/sec:     19.32MB
";

    #[test]
    fn wrk_output_is_parsed() {
        let result = parse(RUN).unwrap();
        assert_eq!((result.requests, result.rate), (173_234, 43_293.21));
    }

    #[test]
    fn wrk_run_with_failures_is_an_error() {
        for failure in ["  Non-2xx or 3xx responses: 12\n", "  Socket errors: connect 0, read 3, write 0, timeout 0\n"]
        {
            assert!(parse(&format!("{RUN}{failure}")).is_err());
        }
    }
}
