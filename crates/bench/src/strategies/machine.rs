//! A description of the machine and the date of the measurement.

use std::fs;

use anyhow::Result;
use client::report::{commit, first_line, today};

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
        date: today(),
        commit: commit(),
        cpu: cpu.map_or("unknown CPU", |(_, name)| name.trim()).to_owned(),
        cores,
        kernel: first_line("uname", &["-sr"]),
        redis: redis.unwrap_or("unknown").trim().to_owned(),
        postgres: postgres.split(' ').next().unwrap_or_default().to_owned(),
        release: !cfg!(debug_assertions),
    })
}
