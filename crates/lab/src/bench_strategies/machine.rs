//! Where and when it was measured.

use std::fs;
use std::process::Command;

use anyhow::Result;

use super::cases::TestBench;
use super::figures::Machine;

pub(super) async fn describe(stand: &TestBench) -> Result<Machine> {
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    // Not what this process may use: it is on one core.
    let cores = cpu.lines().filter(|line| line.starts_with("processor")).count();
    let cpu = cpu.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let redis = stand.redis.cli(&["INFO", "server"]).await?;
    let redis = redis.lines().find_map(|line| line.strip_prefix("redis_version:"));
    let postgres = stand.postgres.sql("shop_db", "SHOW server_version").await?;
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

/// The first line of what a program says; "unknown" when there is no such program.
fn said(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    let text = output.ok().and_then(|output| String::from_utf8(output.stdout).ok()).unwrap_or_default();
    text.lines().next().filter(|line| !line.is_empty()).unwrap_or("unknown").to_owned()
}
