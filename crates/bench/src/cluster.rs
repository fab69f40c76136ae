//! Measures the cache on one Redis beside a Redis Cluster of three primaries, each with a replica.
//!
//! The loader costs nothing, so what is measured is the cache and its commands. Both stores take turns in every round. All
//! servers and the client share this machine, so a cluster cannot show the throughput of several machines here; the table
//! shows what its partitions and its further servers cost.

use std::convert::Infallible;
use std::fmt::Write as _;
use std::ops::Range;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use cache::{Cache, CacheClient, CacheSettings, Keyspace, NewEntry, Policy, RedisAddress, Tag};
use clap::Args;
use futures_util::future::try_join_all;
use testkit::{Redis, RedisCluster, eventually};

use crate::spread;

/// The options of `bench cluster`.
#[derive(Debug, Args)]
pub struct Options {
    /// Rounds, in which both stores take turns
    #[arg(long, default_value_t = 7)]
    rounds: u32,
}

/// The operations of one measurement, one at a time.
const SINGLE: u32 = 1_000;
/// The operations of one measurement of the throughput, and how many of them run at a time.
const MANY: u32 = 20_000;
const AT_ONCE: u32 = 32;
/// The entries that carry the large tag.
const TAGGED: u32 = 1_000;
/// The length of a value: a product as JSON.
const VALUE: usize = 500;
/// The longest time until a store is in use.
const SOON: Duration = Duration::from_secs(60);

/// What is measured, and its unit.
const FIGURES: [&str; 7] = [
    "hit, one at a time (µs)", "hits per second, 32 at a time", "miss, one at a time (µs)",
    "invalidation of an entry (µs)", "invalidations per second, 32 at a time", "invalidation of an unused tag (µs)",
    "invalidation of a tag with 1,000 entries (ms)",
];

/// One store of the comparison.
struct Store {
    client: CacheClient,
    cache: Cache<()>,
    /// The first id that was not used yet.
    next: u32,
}

/// Runs the benchmark and prints its table.
pub async fn run(options: &Options) -> Result<()> {
    ensure!(options.rounds > 0, "at least one round is needed");
    let (redis, cluster) = (Redis::start().await?, RedisCluster::start().await?);
    let mut stores = [Store::at(&redis.url()).await?, Store::at(&cluster.url()).await?];
    let mut figures = [[const { Vec::new() }; FIGURES.len()], [const { Vec::new() }; FIGURES.len()]];
    for _ in 0..options.rounds {
        for (store, figures) in stores.iter_mut().zip(&mut figures) {
            for (figure, all) in store.measure().await?.into_iter().zip(figures) {
                all.push(figure);
            }
        }
    }
    let mut text = format!(
        "\nmedian (least to most) of {} rounds; the cluster has {} partitions\n\n{:<48}{:>30}{:>30}{:>8}\n",
        options.rounds,
        stores[1].client.keyspace().partitions(),
        "",
        "one Redis",
        "three primaries",
        "ratio"
    );
    let [one, three] = &mut figures;
    for (name, (one, three)) in FIGURES.iter().zip(one.iter_mut().zip(three)) {
        let (one_text, three_text) = (spread(one), spread(three));
        let ratio = three[three.len() / 2] / one[one.len() / 2];
        writeln!(text, "{name:<48}{one_text:>30}{three_text:>30}{ratio:>8.2}")?;
    }
    println!("{text}");
    for store in stores {
        store.client.shutdown(Duration::from_secs(1)).await;
    }
    Ok(())
}

impl Store {
    async fn at(url: &str) -> Result<Self> {
        let keyspace = Keyspace::for_redis("bench", &RedisAddress::parse(url)?)?;
        let command_timeout = Duration::from_secs(5);
        let settings = CacheSettings { url: url.to_owned(), command_timeout, ..CacheSettings::default() };
        let client = CacheClient::connect_with(keyspace, &settings).await?;
        eventually("the store is in use", SOON, async || client.health().is_in_use()).await;
        let cache = client.cache("item", Policy::ttl(Duration::from_secs(3_600)))?;
        Ok(Self { client, cache, next: 0 })
    }

    /// Returns the figures in the order of [`FIGURES`].
    async fn measure(&mut self) -> Result<[f64; FIGURES.len()]> {
        let ids = self.ids(SINGLE);
        let miss = median(ids.clone(), async |id| self.read(id, None).await).await?;
        let hit = median(ids.clone(), async |id| self.read(id, None).await).await?;
        let hits = rate(async |number| self.read(ids.start + number % SINGLE, None).await).await?;
        let removal = median(ids.clone(), async |id| self.remove(id).await).await?;
        let removals = rate(async |number| self.remove(ids.start + number % SINGLE).await).await?;
        let unused = median(self.ids(SINGLE), async |id| self.remove_tag(id).await).await?;
        let (tagged, tag) = (self.ids(TAGGED), self.next);
        try_join_all(tagged.map(|id| self.read(id, Some(tag)))).await?;
        let began = Instant::now();
        self.remove_tag(tag).await?;
        let large = began.elapsed().as_secs_f64() * 1e3;
        Ok([hit, hits, miss, removal, removals, unused, large])
    }

    fn ids(&mut self, count: u32) -> Range<u32> {
        self.next += count;
        self.next - count..self.next
    }

    async fn read(&self, id: u32, tag: Option<u32>) -> Result<()> {
        let value = move || async move {
            Ok::<_, Infallible>(NewEntry::raw("x".repeat(VALUE)).tags(tag.map(|tag| Tag::new("t", tag))))
        };
        self.cache.read(id, value).await?;
        Ok(())
    }

    async fn remove(&self, id: u32) -> Result<()> {
        self.cache.invalidate(id).await.acknowledged().map(drop).context("an invalidation was deferred")
    }

    async fn remove_tag(&self, tag: u32) -> Result<()> {
        let done = self.client.invalidate_tag(Tag::new("t", tag)).await;
        done.acknowledged().map(drop).context("an invalidation was deferred")
    }
}

/// Returns the median time of an operation, in microseconds.
async fn median(ids: Range<u32>, operation: impl AsyncFn(u32) -> Result<()>) -> Result<f64> {
    let mut times = Vec::with_capacity(ids.len());
    for id in ids {
        let began = Instant::now();
        operation(id).await?;
        times.push(began.elapsed().as_secs_f64() * 1e6);
    }
    times.sort_by(f64::total_cmp);
    Ok(times[times.len() / 2])
}

/// Returns how many operations complete per second, with [`AT_ONCE`] at a time.
async fn rate(operation: impl AsyncFn(u32) -> Result<()>) -> Result<f64> {
    let began = Instant::now();
    let each = async |worker: u32| {
        for number in 0..MANY / AT_ONCE {
            operation(number * AT_ONCE + worker).await?;
        }
        Ok::<_, anyhow::Error>(())
    };
    try_join_all((0..AT_ONCE).map(each)).await?;
    Ok(f64::from(MANY) / began.elapsed().as_secs_f64())
}
