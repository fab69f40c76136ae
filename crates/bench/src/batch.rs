//! Measures a batch of 1,000 entries beside 1,000 single reads, one after the other: hits, and misses.
//!
//! The loader costs nothing, so what is measured is the cache and its round trips to Redis. Both variants take turns in
//! every round, on entries of their own. A batch of hits takes less than a tenth of the time of as many single reads, so ten
//! batches are measured in a row.

use std::collections::HashMap;
use std::convert::Infallible;
use std::fmt::Write as _;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use cache::{Cache, CacheClient, CacheSettings, Keyspace, NewEntry, Policy};
use clap::Args;
use testkit::Redis;

use crate::spread;

/// The options of `bench batch`.
#[derive(Debug, Args)]
pub struct Options {
    /// Rounds, in which both variants take turns
    #[arg(long, default_value_t = 7)]
    rounds: usize,
    /// Fail when a target is missed
    #[arg(long)]
    assert: bool,
}

/// The entries of a batch.
const ENTRIES: u32 = 1_000;
/// How many times as fast a batch of hits must be.
const AT_LEAST: f64 = 20.0;
/// The length of a value: a product as JSON.
const VALUE: usize = 500;
/// How often a batch of hits is read in a round.
const REPEATED: u32 = 10;
const KINDS: [&str; 2] = ["hits", "misses"];

/// Runs the benchmark and prints its table.
pub async fn run(options: &Options) -> Result<()> {
    let redis = Redis::start().await?;
    let settings =
        CacheSettings { url: redis.url(), command_timeout: Duration::from_secs(5), ..CacheSettings::default() };
    let client = CacheClient::connect_with(Keyspace::new("bench")?, &settings).await?;
    let cache = client.cache::<()>("item", Policy::ttl(Duration::from_secs(3_600)))?;
    let mut ratios = [Vec::new(), Vec::new()];
    let mut times = [[Vec::new(), Vec::new()], [Vec::new(), Vec::new()]];
    for round in 0..options.rounds as u32 {
        // Of each variant: the misses first, and then the same entries as hits.
        let own = [2 * round, 2 * round + 1].map(|part| part * ENTRIES..(part + 1) * ENTRIES);
        for (kind, number, batches) in [("misses", 1, 1), ("hits", 0, REPEATED)] {
            let single = one_by_one(&cache, own[0].clone()).await?;
            let mut batch = Duration::ZERO;
            for _ in 0..batches {
                batch += together(&cache, own[1].clone()).await? / batches;
            }
            ensure!(!batch.is_zero(), "no time has passed for {kind}");
            times[number][0].push(single.as_secs_f64() * 1e3);
            times[number][1].push(batch.as_secs_f64() * 1e3);
            ratios[number].push(single.as_secs_f64() / batch.as_secs_f64());
        }
    }
    let mut text = format!(
        "\n{ENTRIES} entries of {VALUE} bytes, milliseconds: median (least to most) of {} rounds\n\n{:<8}{:>26}{:>26}{:>22}\n",
        options.rounds, "", "one by one", "read_many", "times as fast"
    );
    for (number, kind) in KINDS.into_iter().enumerate() {
        let [single, batch] = &mut times[number];
        write!(text, "{kind:<8}{:>26}{:>26}", spread(single), spread(batch))?;
        writeln!(text, "{:>22}", spread(&mut ratios[number]))?;
    }
    println!("{text}");
    client.shutdown(Duration::from_secs(1)).await;
    let hits = &ratios[0];
    let median = hits[hits.len() / 2];
    ensure!(!options.assert || median >= AT_LEAST, "a batch of hits is {median:.1} times as fast, not {AT_LEAST}");
    Ok(())
}

async fn one_by_one(cache: &Cache<()>, ids: std::ops::Range<u32>) -> Result<Duration> {
    let began = Instant::now();
    for id in ids {
        cache.read(id, async || Ok::<_, Infallible>(value())).await?;
    }
    Ok(began.elapsed())
}

async fn together(cache: &Cache<()>, ids: std::ops::Range<u32>) -> Result<Duration> {
    let load = |ids: Vec<u32>| async move {
        Ok::<HashMap<u32, NewEntry<()>>, Infallible>(ids.into_iter().map(|id| (id, value())).collect())
    };
    let began = Instant::now();
    for read in cache.read_many(ids, load).await {
        read?;
    }
    Ok(began.elapsed())
}

fn value() -> NewEntry<()> {
    NewEntry::raw("x".repeat(VALUE))
}
