//! What changes with the number of entries in Redis, and with the number of processes.

use std::convert::Infallible;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use cache::{Cache, CacheSettings, Invalidated, Invalidation, Keyspace, Lane, Loaded, Outcome, Policy, Tag};
use fred::interfaces::KeysInterface;
use futures_util::future::try_join_all;
use futures_util::stream::{self, StreamExt, TryStreamExt};
use hdrhistogram::Histogram;
use testkit::Redis;

use super::cases::{Case, Stand};
use super::figures::{EntryFigures, Latency, ProcessFigures};
use super::tags::connect;
use super::{Extent, Options, phases};
use crate::bench::{Wrk, cores};

/// Fills under way at once.
const AT_ONCE: usize = 64;
/// A body as long as a product's.
const BODY: [u8; 400] = [b'x'; 400];
/// Members of a tag: products of a category, say.
const PER_TAG: usize = 100;
/// Operations of each kind that are measured.
const SAMPLES: usize = 2_000;
/// Connections of all load generators together.
const CONNECTIONS: u32 = 64;
/// The lane that is measured with several processes.
const LANE: &str = "production";

/// Grows one cache in a Redis of its own, on a core of its own, and measures at each size.
pub(super) async fn entries(extent: &Extent, redis_core: usize) -> Result<Vec<EntryFigures>> {
    let redis = Redis::start().await?;
    cores::pin(redis.pid(), redis_core)?;
    let client = connect(&redis).await?;
    let settings =
        CacheSettings { url: redis.url(), command_timeout: Duration::from_secs(1), ..CacheSettings::default() };
    let cache = Cache::connect(Keyspace::new("bench")?, &settings).await?;
    let lane = cache.lane("entry", Policy::new(Duration::from_secs(86_400)))?;
    client.set::<(), _, _>("plain", BODY.as_slice(), None, None, false).await?;
    let empty = used_memory(&redis).await?;
    let (mut filled, mut all) = (0, Vec::new());
    for &size in extent.entries {
        stream::iter(filled..size)
            .map(|id| fetch(&lane, id))
            .buffer_unordered(AT_ONCE)
            .try_for_each(|_| async { Ok(()) })
            .await?;
        filled = size;
        let entry_bytes = (used_memory(&redis).await? - empty) / size as f64;
        let any = || rand::random_range(0..size);
        let (mut get, mut hit) = (histogram()?, histogram()?);
        let (mut fill, mut invalidate) = (histogram()?, histogram()?);
        for _ in 0..SAMPLES {
            let began = Instant::now();
            let _: Option<bytes::Bytes> = client.get("plain").await?;
            record(&mut get, began)?;
            let began = Instant::now();
            let outcome = fetch(&lane, any()).await?;
            record(&mut hit, began)?;
            ensure!(outcome == Outcome::Hit, "an entry is gone: {outcome:?}");
        }
        for _ in 0..SAMPLES {
            let id = any();
            let began = Instant::now();
            let done = cache.invalidate(Invalidation::hard().key(lane.key(id))).await;
            record(&mut invalidate, began)?;
            ensure!(done == Invalidated::Done { entries: 1 }, "an entry was not there: {done:?}");
            let began = Instant::now();
            let outcome = fetch(&lane, id).await?;
            record(&mut fill, began)?;
            ensure!(matches!(outcome, Outcome::Miss(_)), "an entry was not removed: {outcome:?}");
        }
        all.push(EntryFigures {
            entries: size,
            get: Latency::of(&get),
            hit: Latency::of(&hit),
            fill: Latency::of(&fill),
            invalidate: Latency::of(&invalidate),
            entry_bytes,
        });
    }
    cache.shutdown().await;
    Ok(all)
}

async fn fetch(lane: &Lane, id: usize) -> Result<Outcome> {
    let tag = Tag::new("group", id / PER_TAG);
    let load = move || {
        let tag = tag.clone();
        async move { Ok::<_, Infallible>(Loaded::found(BODY.as_slice()).tag(tag)) }
    };
    Ok(lane.fetch(&lane.key(id), load).await?.outcome())
}

async fn used_memory(redis: &Redis) -> Result<f64> {
    let text = redis.cli(&["INFO", "memory"]).await?;
    let used = text.lines().find_map(|line| line.strip_prefix("used_memory:")?.trim().parse().ok());
    used.ok_or_else(|| anyhow::anyhow!("INFO does not say how much memory is used"))
}

fn histogram() -> Result<Histogram<u64>> {
    Ok(Histogram::new(3)?)
}

fn record(histogram: &mut Histogram<u64>, began: Instant) -> Result<()> {
    Ok(histogram.record(u64::try_from(began.elapsed().as_micros())?)?)
}

/// One, two, four processes of the product API on all cores, with everything else there as well: how many hits a second,
/// and whether a missing entry is still loaded once.
pub(super) async fn processes(mut stand: Stand, extent: &Extent, options: &Options) -> Result<Vec<ProcessFigures>> {
    let shop = stand.postgres.url("shop_db");
    let first = stand.cases().iter().find(|case| case.name == LANE).expect("it is a lane").clone();
    let mut cases: Vec<Case> = vec![first];
    let mut all = Vec::new();
    for &processes in extent.processes {
        while cases.len() < processes {
            let core = [options.load_core, options.server_core][cases.len() % 2];
            let base = stand.product_api(&shop, core).await?;
            cases.push(Case { base, ..cases[0].clone() });
        }
        let mut figures = ProcessFigures { processes, peak: Vec::new(), stampede_loads: Vec::new() };
        for _ in 0..extent.rounds.min(3) {
            let wrk = Wrk { connections: CONNECTIONS / processes as u32, seconds: 1, core: options.load_core };
            let urls: Vec<String> = cases.iter().map(|case| format!("{}{}1", case.base, case.path)).collect();
            let runs = try_join_all(urls.iter().map(|url| wrk.run(url))).await?;
            figures.peak.push(runs.iter().map(|run| run.rate).sum());
            figures.stampede_loads.push(phases::stampede(&stand, &cases).await?);
        }
        all.push(figures);
    }
    Ok(all)
}
