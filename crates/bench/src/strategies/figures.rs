//! All figures of a benchmark, with the machine and the date of the measurement.

use std::fs;

use anyhow::{Result, ensure};
use client::report::{commit, first_line, today};
use contract::STRATEGY_NAMES;
use serde::{Deserialize, Serialize};

use super::case_figures::{self, CaseFigures};
use super::cases::{REFERENCE, TestBench};
use super::latency::Latency;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Figures {
    pub(super) machine: Machine,
    /// Whether this was a quick run with fewer measurements.
    pub(super) quick: bool,
    pub(super) rounds: u32,
    /// For each round, the share of the CPU time that the hypervisor gave to others.
    pub(super) steal: Vec<f64>,
    pub(super) cases: Vec<CaseFigures>,
    pub(super) tags: Vec<TagFigures>,
    pub(super) entries: Vec<EntryFigures>,
    pub(super) processes: Vec<ProcessFigures>,
    #[serde(default)]
    pub(super) cold_starts: Vec<ColdStart>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Machine {
    pub(super) date: String,
    pub(super) commit: String,
    pub(super) cpu: String,
    pub(super) cores: usize,
    pub(super) kernel: String,
    pub(super) redis: String,
    pub(super) postgres: String,
    pub(super) release: bool,
}

/// One case whose Redis has lost all data, at one load. The lists have one value for each repetition.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct ColdStart {
    pub(super) name: String,
    /// The load as a multiple of `capacity`.
    pub(super) load: f64,
    /// Reads per second that the database can carry.
    pub(super) capacity: f64,
    /// Milliseconds until an ideal cache has recovered, which loads each product once and in no time.
    #[serde(default)]
    pub(super) ideal_ms: f64,
    /// Milliseconds until hit ratio and latency were back; `None` if they were not back by the end.
    pub(super) recovered_ms: Vec<Option<f64>>,
    /// Reads without a usable response.
    pub(super) failed: Vec<u64>,
    /// Loads from the database.
    pub(super) loads: Vec<u64>,
    pub(super) p99_before: Vec<f64>,
    pub(super) p99_after: Vec<f64>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct TagFigures {
    pub(super) members: usize,
    /// Milliseconds per round: of the cache crate, and of `SMEMBERS` with one `UNLINK` of all members.
    pub(super) took: Vec<f64>,
    pub(super) naive_took: Vec<f64>,
    /// The longest time in milliseconds that another command had to wait during the invalidation.
    pub(super) stall: Vec<f64>,
    pub(super) naive_stall: Vec<f64>,
}

/// The figures with a certain number of other entries in Redis.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct EntryFigures {
    pub(super) entries: usize,
    /// The memory of the whole Redis, in bytes.
    pub(super) used_memory: f64,
    pub(super) cases: Vec<CaseFigures>,
}

/// The figures with a certain number of processes of the product API.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct ProcessFigures {
    pub(super) cores: Vec<usize>,
    pub(super) lanes: Vec<StrategyFigures>,
}

/// One strategy, served by several processes.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct StrategyFigures {
    pub(super) name: String,
    /// Hits per second of all processes together, one value per round.
    pub(super) peak: Vec<f64>,
    /// Loads per 1,000 readers of a missing entry, spread over all processes.
    pub(super) stampede_loads: Vec<f64>,
}

impl Figures {
    pub(super) fn new(machine: Machine, rounds: u32, quick: bool) -> Self {
        let (cases, tags, entries, processes, cold_starts) = Default::default();
        Self { machine, quick, rounds, steal: vec![], cases, tags, entries, processes, cold_starts }
    }

    pub(super) fn of(&mut self, name: &str) -> &mut CaseFigures {
        case_figures::of(&mut self.cases, name)
    }

    /// Checks that a whole run has measured these figures, because a table with gaps is of no use.
    pub(super) fn ensure_complete(&self) -> Result<()> {
        let caching: Vec<_> =
            self.cases.iter().filter(|case| case.pooled.hit.is_some() && case.pooled.miss.is_some()).collect();
        ensure!(caching.len() > STRATEGY_NAMES.len(), "not every strategy and naive cache-aside are measured");
        for case in caching {
            ensure!(case.race().is_some(), "{}: the races are missing", case.name);
            ensure!(case.cpu_ratio().is_some(), "{}: the CPU per hit is missing", case.name);
            ensure!(case.loads_per_1000().is_some(), "{}: the database loads are missing", case.name);
        }
        ensure!(!self.quick, "the figures are of a quick run");
        let scaled = !self.tags.is_empty() && !self.entries.is_empty() && !self.processes.is_empty();
        ensure!(scaled && !self.cold_starts.is_empty(), "tags, entries, processes or cold starts are missing");
        Ok(())
    }

    /// Adds the reference of the same round to peaks that were measured without a reference.
    pub(super) fn complete_peaks(&mut self) {
        let reference = self.of(REFERENCE).rounds.last().cloned().unwrap_or_default();
        for sample in self.cases.iter_mut().filter_map(|case| case.rounds.last_mut()) {
            sample.peak_of_reference = sample.peak_of_reference.or(reference.peak);
            sample.cpu_of_reference = sample.cpu_of_reference.or(reference.cpu);
        }
    }

    /// Merges the histograms of the rounds.
    pub(super) fn pool(&mut self) {
        let scaled = self.entries.iter_mut().flat_map(|at| &mut at.cases);
        self.cases.iter_mut().chain(scaled).for_each(CaseFigures::pool);
    }

    /// Returns every measured distribution with a unique name: `hit/ttl/round 1`.
    pub(super) fn measured(&mut self) -> Vec<(String, &mut Latency)> {
        let mut all = Vec::new();
        for case in &mut self.cases {
            case.measured("", &mut all);
        }
        for at in &mut self.entries {
            for case in &mut at.cases {
                case.measured(&format!("{} entries/", at.entries), &mut all);
            }
        }
        all
    }

    /// Clears the merged histograms, which can be merged again.
    pub(super) fn clear_pooled(&mut self) {
        let scaled = self.entries.iter_mut().flat_map(|at| &mut at.cases);
        for case in self.cases.iter_mut().chain(scaled) {
            let of = &mut case.pooled;
            for latency in
                [&mut of.hit, &mut of.miss, &mut of.write, &mut of.read_back, &mut of.late, &mut of.staleness]
            {
                latency.iter_mut().for_each(|latency| latency.histogram.clear());
            }
        }
    }
}

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
