//! Measures a hit from the memory of the process: the near cache with its lease, counters and metrics, beside the maps of
//! other crates alone, which promise nothing about changes.
//!
//! Each thread reads in a loop; all threads read one hot key, or each of many keys in turn. The contenders take turns in
//! every round.

use std::fmt::Write as _;
use std::hint::black_box;
use std::sync::Barrier;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use cache::{Cache, CacheClient, CacheSettings, Near, NewEntry, Outcome, Policy};
use clap::Args;
use testkit::Redis;
use tokio::runtime;

/// The options of `bench memory`.
#[derive(Debug, Args)]
pub struct Options {
    /// Rounds, in which all contenders take turns
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Reads of each thread in a round
    #[arg(long, default_value_t = 1_000_000)]
    reads: u32,
    /// Fail when a target is missed
    #[arg(long)]
    assert: bool,
}

/// The target for a hit from memory, in nanoseconds. It is for keys that are read often; with 10,000 keys in turn, most reads
/// wait for the memory of the machine.
const AT_MOST: f64 = 300.0;
const OFTEN: u32 = 100;
const BOUND: Duration = Duration::from_millis(100);
/// The length of a value: a product as JSON.
const VALUE: usize = 500;
/// The numbers of keys and threads.
const CASES: [(u32, usize); 4] = [(1, 1), (1, 2), (OFTEN, 2), (10_000, 2)];
const NAMES: [&str; 4] = ["near cache", "quick_cache", "moka", "a HashMap in a Mutex"];

/// Runs the benchmark and prints its table.
pub async fn run(options: &Options) -> Result<()> {
    let redis = Redis::start().await?;
    let settings = CacheSettings { url: redis.url(), near_bound: Some(BOUND), ..CacheSettings::default() };
    // The background tasks of the client have a thread of their own, as in a service.
    let background = runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let client =
        background.spawn(async move { CacheClient::connect_with(cache::Keyspace::new("bench")?, &settings).await });
    let client = client.await??;
    let policy = Policy::ttl(Duration::from_secs(3_600)).near(Near::Strict(BOUND));
    let ours = client.cache::<()>("item", policy)?;
    let contenders = Contenders::new(ours);

    let mut text = format!("\nnanoseconds per hit, median (least to most) of {} rounds\n\n", options.rounds);
    write!(text, "{:<22}", "")?;
    for (keys, threads) in CASES {
        write!(text, "{:>24}", format!("{keys} keys, {threads} threads"))?;
    }
    let mut columns = Vec::new();
    for (keys, threads) in CASES {
        contenders.fill(keys).await?;
        let mut rounds = vec![Vec::new(); NAMES.len()];
        for _ in 0..options.rounds {
            for (figures, name) in rounds.iter_mut().zip(NAMES) {
                figures.push(contenders.time(name, keys, threads, options.reads)?);
            }
        }
        rounds.iter_mut().for_each(|figures| figures.sort_by(f64::total_cmp));
        columns.push(rounds);
    }
    for (at, name) in NAMES.into_iter().enumerate() {
        write!(text, "\n{name:<22}")?;
        for rounds in &columns {
            let figures = &rounds[at];
            let median = figures[figures.len() / 2];
            let range = format!("{median:.0} ({:.0} to {:.0})", figures[0], figures[figures.len() - 1]);
            write!(text, "{range:>24}")?;
        }
    }
    println!("{text}\n");
    let often = columns.iter().zip(CASES).filter(|(_, (keys, _))| *keys <= OFTEN);
    let ours = often.map(|(rounds, _)| rounds[0][rounds[0].len() / 2]).fold(0.0, f64::max);
    client.shutdown(Duration::from_secs(1)).await;
    background.shutdown_background();
    ensure!(!options.assert || ours < AT_MOST, "a hit from memory takes {ours:.0} ns, not less than {AT_MOST}");
    Ok(())
}

struct Contenders {
    ours: Cache<()>,
    quick: quick_cache::sync::Cache<Bytes, Bytes>,
    moka: moka::sync::Cache<Bytes, Bytes>,
    map: std::sync::Mutex<std::collections::HashMap<Bytes, Bytes>>,
}

impl Contenders {
    fn new(ours: Cache<()>) -> Self {
        let (quick, moka) = (quick_cache::sync::Cache::new(100_000), moka::sync::Cache::new(100_000));
        Self { ours, quick, moka, map: std::sync::Mutex::default() }
    }

    /// Stores the values that are read, so that every read is a hit.
    async fn fill(&self, keys: u32) -> Result<()> {
        for id in 0..keys {
            let value = Bytes::from("x".repeat(VALUE));
            self.quick.insert(key(id), value.clone());
            self.moka.insert(key(id), value.clone());
            self.map.lock().map_err(|_| anyhow::anyhow!("poisoned"))?.insert(key(id), value);
            let mut tries = 0;
            while read(&self.ours, id).await? != Outcome::NearHit {
                tries += 1;
                ensure!(tries < 1_000, "entry {id} does not stay in memory");
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
        Ok(())
    }

    /// Returns nanoseconds per read.
    fn time(&self, name: &str, keys: u32, threads: usize, reads: u32) -> Result<f64> {
        let prepared: Vec<Bytes> = (0..keys).map(key).collect();
        let at = |read: u32| &prepared[(read % keys) as usize];
        match name {
            "near cache" => timed(threads, reads, |reads| {
                let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
                runtime.block_on(async {
                    // What the first reads of a thread cost is not what a hit costs.
                    let mut others = 0;
                    for id in 0..keys {
                        read(&self.ours, id).await?;
                    }
                    let began = Instant::now();
                    for id in 0..reads {
                        others += u32::from(read(&self.ours, id % keys).await? != Outcome::NearHit);
                    }
                    ensure!(others < reads / 1_000, "{others} of {reads} reads were no hits from memory");
                    Ok(began.elapsed())
                })
            }),
            "quick_cache" => timed(threads, reads, |reads| hits(reads, |id| self.quick.get(at(id)))),
            "moka" => timed(threads, reads, |reads| hits(reads, |id| self.moka.get(at(id)))),
            _ => timed(threads, reads, |reads| {
                hits(reads, |id| self.map.lock().ok().and_then(|map| map.get(at(id)).cloned()))
            }),
        }
    }
}

fn key(id: u32) -> Bytes {
    format!("bench:item:{id}").into()
}

async fn read(cache: &Cache<()>, id: u32) -> Result<Outcome> {
    let load = async || -> Result<NewEntry<()>, std::convert::Infallible> { Ok(NewEntry::raw("x".repeat(VALUE))) };
    let cached = cache.read(id, load).await.context("a read failed")?;
    Ok(black_box(cached).outcome())
}

fn hits(reads: u32, get: impl Fn(u32) -> Option<Bytes>) -> Result<Duration> {
    let began = Instant::now();
    let found = (0..reads).filter(|id| black_box(get(*id)).is_some()).count();
    ensure!(found == reads as usize, "{found} of {reads} reads were hits");
    Ok(began.elapsed())
}

/// Runs `work` in threads that begin together, and returns nanoseconds per read of the slowest thread.
fn timed(threads: usize, reads: u32, work: impl Fn(u32) -> Result<Duration> + Sync) -> Result<f64> {
    let begin = Barrier::new(threads);
    let slowest = std::thread::scope(|scope| -> Result<Duration> {
        let run = || {
            begin.wait();
            work(reads)
        };
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(run)).collect();
        let mut slowest = Duration::ZERO;
        for thread in running {
            slowest = slowest.max(thread.join().map_err(|_| anyhow::anyhow!("a thread panicked"))??);
        }
        Ok(slowest)
    })?;
    Ok(slowest.as_nanos() as f64 / f64::from(reads))
}
