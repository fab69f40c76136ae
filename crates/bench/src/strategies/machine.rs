//! A description of the machine and the date of the measurement.

use std::fs;
use std::process::Command;

use anyhow::Result;

use super::cases::TestBench;
use super::figures::Machine;

pub(super) async fn describe(bench: &TestBench) -> Result<Machine> {
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    // All cores of the machine: this process itself is restricted to one.
    let cores = cpu.lines().filter(|line| line.starts_with("processor")).count();
    let cpu = cpu.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let redis = bench.redis.cli(&["INFO", "server"]).await?;
    let redis = redis.lines().find_map(|line| line.strip_prefix("redis_version:"));
    let postgres = bench.postgres.sql("shop_db", "SHOW server_version").await?;
    Ok(Machine {
        date: said("date", &["-u", "+%F"]),
        commit: said("git", &["describe", "--always", "--dirty"]),
        cpu: cpu.map_or("unknown CPU", |(_, name)| name.trim()).to_owned(),
        cores,
        kernel: said("uname", &["-sr"]),
        redis: redis.unwrap_or("unknown").trim().to_owned(),
        postgres: postgres.split(' ').next().unwrap_or_default().to_owned(),
        release: !cfg!(debug_assertions),
    })
}

/// Returns the first line of a program's output, or "unknown" if the program cannot be run.
fn said(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    let text = output.ok().and_then(|output| String::from_utf8(output.stdout).ok()).unwrap_or_default();
    text.lines().next().filter(|line| !line.is_empty()).unwrap_or("unknown").to_owned()
}
