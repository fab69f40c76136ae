//! The effect of the number of entries in Redis and of the number of processes, for every strategy, over HTTP.

use anyhow::{Context, Result, ensure};
use client::traffic::{Order, Plan, ProductRange};
use contract::STRATEGY_NAMES;
use futures_util::future::try_join_all;

use super::case_figures::{Sample, of};
use super::cases::{Case, REFERENCE, TestBench};
use super::extent::{Extent, Options};
use super::figures::{EntryFigures, ProcessFigures, StrategyFigures};
use super::latency::Latency;
use super::phases;
use crate::wrk::Wrk;

/// Connections of all load generators together.
const CONNECTIONS: u32 = 64;
/// Entries that one script stores.
const BATCH: usize = 7_000;
/// The key of the copied entry.
const TEMPLATE: &str = "bench:template";
/// The first product id of the entries that only use memory.
const FOREIGN: usize = 10_000_000;
/// The number of reads per second of the bare `GET`.
const GETS: f64 = 1_000.0;

/// KEYS: an entry to copy. ARGV: the first and the last number of the copies, the first product, then the caches, which
/// take turns. Returns nothing.
const FILL: &str = "
    local value = redis.call('GET', KEYS[1])
    local lanes = #ARGV - 3
    for number = ARGV[1], ARGV[2] - 1 do
      local id = string.format('%d', ARGV[3] + math.floor(number / lanes))
      redis.call('SET', 'product:' .. ARGV[4 + number % lanes] .. ':' .. id, value, 'EX', 86400)
    end";

/// Fills Redis, and measures every strategy at each size, together with a bare `GET` of random entries.
pub(super) async fn entries(bench: &mut TestBench, extent: &Extent, options: &Options) -> Result<Vec<EntryFigures>> {
    let lanes: Vec<Case> = STRATEGY_NAMES.iter().map(|lane| find(bench, lane)).collect::<Result<_>>()?;
    phases::warm(&find(bench, "tags")?.warm()).await?;
    keep_template(bench).await?;
    let (mut filled, mut all, mut reference) = (0, Vec::new(), None);
    for &size in extent.entries {
        fill(bench, filled, size).await?;
        filled = size;
        if reference.is_none() {
            reference = Some(bench.baseline("get-entry", &[], options.server_core).await?);
        }
        let (base, _) = reference.clone().context("the reference was not started")?;
        let count = (size / STRATEGY_NAMES.len()) as u64;
        let foreign =
            ProductRange { name: REFERENCE.to_owned(), base, path: "/".to_owned(), first: FOREIGN as u64, count };
        let mut cases = Vec::new();
        for _ in 0..extent.growth_rounds {
            of(&mut cases, REFERENCE).rounds.push(bare(&foreign, extent).await?);
            for case in &lanes {
                let mut sample = Sample::default();
                phases::hits(bench, case, extent.growth, &mut sample).await?;
                phases::misses(bench, case, extent.growth, &mut sample).await?;
                phases::writes(case, extent.growth, &mut sample).await?;
                let Sample { hit, miss, write, .. } = sample;
                of(&mut cases, &case.name).rounds.push(Sample { hit, miss, write, ..Sample::default() });
            }
        }
        let used_memory = bench.info("memory", &["used_memory"]).await?[0] as f64;
        all.push(EntryFigures { entries: size, used_memory, cases });
    }
    Ok(all)
}

/// Copies an entry, because the measurements write and so remove the entry itself.
async fn keep_template(bench: &TestBench) -> Result<()> {
    let copied = bench.redis.cli(&["COPY", "product:tags:1", TEMPLATE, "REPLACE"]).await?;
    ensure!(copied.trim() == "1", "product:tags:1 is not in Redis");
    bench.redis.cli(&["PERSIST", TEMPLATE]).await?;
    Ok(())
}

async fn fill(bench: &TestBench, from: usize, to: usize) -> Result<()> {
    for first in (from..to).step_by(BATCH) {
        let (begin, end, foreign) = (first.to_string(), to.min(first + BATCH).to_string(), FOREIGN.to_string());
        let arguments = ["EVAL", FILL, "1", TEMPLATE, &begin, &end, &foreign];
        bench.redis.cli(&arguments.into_iter().chain(STRATEGY_NAMES).collect::<Vec<_>>()).await?;
    }
    Ok(())
}

async fn bare(products: &ProductRange, extent: &Extent) -> Result<Sample> {
    let plan = Plan { rate: GETS, writes: 0.0, order: Order::Zipf(0.0), length: extent.growth };
    let seen = phases::load_from(products, products.first, plan).await?;
    Ok(Sample { hit: Some(Latency::of(&seen.reads)), ..Sample::default() })
}

fn find(bench: &TestBench, name: &str) -> Result<Case> {
    bench.cases().iter().find(|case| case.name == name).cloned().with_context(|| format!("{name} is no case"))
}

/// Measures one, two and four processes of the product API: the hits per second, and whether a missing entry is still
/// loaded only once. The processes are distributed over the cores, one of which also has the load, Redis and Postgres.
pub(super) async fn processes(
    bench: &mut TestBench, extent: &Extent, options: &Options,
) -> Result<Vec<ProcessFigures>> {
    let shop = bench.postgres.url("shop_db");
    let before = bench.servers();
    let first = find(bench, STRATEGY_NAMES[0])?;
    let mut servers = vec![(first.base, first.pid)];
    let mut all = Vec::new();
    for &processes in extent.processes {
        while servers.len() < processes {
            let core = core_of(servers.len(), options);
            servers.push(bench.product_api(&shop, core, &[]).await?);
        }
        let mut figures =
            ProcessFigures { cores: (0..processes).map(|at| core_of(at, options)).collect(), lanes: Vec::new() };
        for lane in STRATEGY_NAMES {
            let one = find(bench, lane)?;
            let cases: Vec<Case> =
                servers.iter().map(|(base, pid)| Case { base: base.clone(), pid: *pid, ..one.clone() }).collect();
            let mut lane = StrategyFigures { name: one.name, peak: Vec::new(), stampede_loads: Vec::new() };
            for _ in 0..extent.growth_rounds {
                let wrk = Wrk { connections: CONNECTIONS / processes as u32, seconds: 1, core: options.load_core };
                let urls: Vec<String> = cases.iter().map(|case| format!("{}{}1", case.base, case.path)).collect();
                let runs = try_join_all(urls.iter().map(|url| wrk.run(url))).await?;
                lane.peak.push(runs.iter().map(|run| run.rate).sum());
                lane.stampede_loads.push(phases::stampede(bench, &cases).await?);
            }
            figures.lanes.push(lane);
        }
        all.push(figures);
    }
    bench.keep_servers(before);
    Ok(all)
}

/// Returns the core of a process: the server's core first, then that of the load.
fn core_of(process: usize, options: &Options) -> usize {
    [options.server_core, options.load_core][process % 2]
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        options: Options,
    }

    #[test]
    fn two_processes_have_a_core_each() {
        let options = Line::parse_from(["bench", "--server-core=3", "--load-core=5"]).options;
        assert_eq!([0, 1, 2, 3].map(|process| core_of(process, &options)), [3, 5, 3, 5]);
    }
}
