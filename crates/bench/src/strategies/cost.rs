//! The resources that a measurement used: commands and bytes of Redis, and CPU time.

use std::time::{Duration, Instant};

use anyhow::Result;
use client::cpu::cpu_time;

use super::case_figures::{Cost, Shares};
use super::cases::{Case, TestBench};

const COUNTERS: [&str; 3] = ["total_commands_processed", "total_net_input_bytes", "total_net_output_bytes"];

/// The counters of Redis since some moment.
pub(super) struct RedisUsage {
    before: Vec<u64>,
    /// The cost of reading the counters, which is subtracted.
    asking: Vec<u64>,
}

impl RedisUsage {
    pub(super) async fn open(bench: &TestBench) -> Result<Self> {
        let first = bench.info("stats", &COUNTERS).await?;
        let before = bench.info("stats", &COUNTERS).await?;
        let asking = before.iter().zip(&first).map(|(after, before)| after - before).collect();
        Ok(Self { before, asking })
    }

    /// Returns the cost per read, for `reads` reads.
    pub(super) async fn per(&self, bench: &TestBench, reads: u64) -> Result<Cost> {
        let after = bench.info("stats", &COUNTERS).await?;
        let spent = |at: usize| (after[at] - self.before[at]).saturating_sub(self.asking[at]) as f64;
        let reads = reads.max(1) as f64;
        Ok(Cost { commands: spent(0) / reads, bytes: (spent(1) + spent(2)) / reads })
    }
}

/// The CPU time of each process since some moment.
pub(super) struct CpuWatch {
    pids: [u32; 3],
    before: [Duration; 3],
    began: Instant,
}

impl CpuWatch {
    pub(super) fn begin(bench: &TestBench, case: &Case) -> Result<Self> {
        let pids = [case.pid, std::process::id(), bench.redis.pid()];
        Ok(Self { pids, before: used(pids)?, began: Instant::now() })
    }

    pub(super) fn end(self) -> Result<Shares> {
        let (after, elapsed) = (used(self.pids)?, self.began.elapsed().as_secs_f64());
        let share = |at: usize| after[at].saturating_sub(self.before[at]).as_secs_f64() / elapsed;
        Ok(Shares { server: share(0), load: share(1), redis: share(2) })
    }
}

fn used(pids: [u32; 3]) -> Result<[Duration; 3]> {
    Ok([cpu_time(pids[0])?, cpu_time(pids[1])?, cpu_time(pids[2])?])
}
