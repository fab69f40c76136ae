//! A flood of reads of unknown ids, at full speed, while Redis has little memory.
//!
//! The four services run with private stores. Clients read unknown products, lists, recommendations and search words,
//! each id once. At the same time another client reads ten products that exist, and a writer changes products in SQL.
//! The flood comes in two halves. The run fails unless
//!
//! * no request of the flood gets a 5xx other than 503,
//! * Redis uses no more than its `maxmemory` (and a margin for its clients),
//! * Redis uses no more memory per entry after the second half than after the first,
//! * every consumer applies every change within 30 s,
//! * reads of the existing products are mostly hits during the flood, because their entries stay in the cache; the hits may
//!   be stale, because a busy machine refreshes them late,
//! * after the flood, each of them is a hit, and fresh once the refreshes in the background have ended.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clap::Args;
use client::CacheStatus;
use reqwest::{Client, StatusCode};
use testkit::private_system::{PrivateSystem, Service};
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::system::wait_until_idle;

/// Ids from here on do not exist.
const UNKNOWN: u64 = 1_000_000_000;
/// Maximum time until every consumer has applied a change, on a machine that is busy with the flood.
const DELIVERED: Duration = Duration::from_secs(30);
/// The memory that Redis may use beyond `maxmemory`: it evicts before it runs a command, not after it.
const MARGIN: u64 = 1 << 20;
/// The maximum memory per entry after the second half of the flood, as a multiple of the same after the first half.
///
/// Eviction keeps `used_memory` at `maxmemory`, with or without a leak: what leaks has no TTL and displaces entries.
/// So a leak raises the memory that each remaining entry costs, most of all in a full Redis. The tolerance is for hash
/// tables that have just grown, and for registrations of evicted entries that the sweep has not found yet.
const GROWTH: f64 = 1.2;
/// Time without less memory per entry after which the sweep has no more to remove: several of its rounds.
const SWEPT_AFTER: Duration = Duration::from_secs(4);
/// Maximum time until the sweep has no more to remove.
const SWEPT: Duration = Duration::from_secs(60);
/// The number of existing products that are read during the flood.
const HOT: u64 = 10;
/// The minimum share of their reads that must be hits during the flood.
const HITS: f64 = 0.9;

/// The options of `checker attack`.
#[derive(Debug, Args)]
pub struct Options {
    /// Requests of the flood
    #[arg(long, default_value_t = 1_000_000)]
    requests: u64,
    /// Clients of the flood
    #[arg(long, default_value_t = 32)]
    clients: usize,
    /// `maxmemory` of Redis
    #[arg(long, default_value = "24mb")]
    memory: String,
}

#[derive(Debug, Default)]
struct FloodStats {
    sent: AtomicU64,
    shed: AtomicU64,
    failed: AtomicU64,
    hot: AtomicU64,
    /// Reads of existing products that were hits, fresh or stale.
    hits: AtomicU64,
    /// Those of them that were fresh.
    fresh: AtomicU64,
}

/// Runs the flood and prints its results.
///
/// # Errors
/// Returns an error if a promise is broken, or if the services do not start.
pub async fn run(options: &Options) -> Result<()> {
    let settings = [("LOG__FILTER", "warn"), ("REDIS__COMMAND_TIMEOUT", "500ms")];
    let system = Arc::new(PrivateSystem::prepare(130, &settings).await?.with_services().await?);
    let http = Client::builder().no_proxy().timeout(Duration::from_secs(60)).build()?;
    system.redis.cli(&["CONFIG", "SET", "maxmemory", &options.memory]).await?;
    let limit: u64 = info(&system, "memory", "maxmemory").await?;
    wait_until_idle(&*system, &http).await?;
    println!("before the flood   {}", state(&system).await?);
    let empty: u64 = info(&system, "memory", "used_memory").await?;

    let (stats, mut peaks) = (Arc::new(FloodStats::default()), Peaks::default());
    let half = options.requests / 2;
    let mut took = flood(&system, &http, &stats, &mut peaks, options, half).await?;
    let first = memory_per_entry(&system, &http, empty).await?;
    stats.sent.store(half, Relaxed);
    took += flood(&system, &http, &stats, &mut peaks, options, options.requests).await?;
    let seconds = took.as_secs_f64();
    let second = memory_per_entry(&system, &http, empty).await?;
    let (most, slowest) = (peaks.memory, peaks.delivery);
    println!("after the flood    {}", state(&system).await?);
    println!("memory per entry   {first:.0} bytes after the first half, {second:.0} after the second");
    if info(&system, "stats", "evicted_keys").await? == 0 {
        println!("Redis was never full: a slow leak shows only with less --memory or more --requests");
    }
    println!(
        "{} requests in {seconds:.0} s ({:.0} a second), {} shed with 503, {} failed; at most {most} of {limit} bytes used; \
         the slowest change took {:.1} s; {} of {} reads of known products were hits, {} of them fresh",
        options.requests,
        options.requests as f64 / seconds,
        stats.shed.load(Relaxed),
        stats.failed.load(Relaxed),
        slowest.as_secs_f64(),
        stats.hits.load(Relaxed),
        stats.hot.load(Relaxed),
        stats.fresh.load(Relaxed),
    );
    ensure!(stats.failed.load(Relaxed) == 0, "requests of the flood failed with a 5xx other than 503");
    ensure!(most <= limit + MARGIN, "Redis used {most} bytes, and may use {limit}");
    ensure!(second <= first * GROWTH, "an entry cost {first:.0} bytes after the first half, and now {second:.0}");
    let share = stats.hits.load(Relaxed) as f64 / stats.hot.load(Relaxed).max(1) as f64;
    ensure!(share >= HITS, "only {:.0} % of the reads of known products were hits during the flood", share * 100.0);
    hot(&system, &http, &FloodStats::default()).await?;
    let after = FloodStats::default();
    hot(&system, &http, &after).await?;
    ensure!(after.hits.load(Relaxed) == HOT, "known products are not hits after the flood");
    until_fresh(&system, &http).await
}

/// Reads the existing products until each is a fresh hit: a read of a stale entry starts its refresh.
async fn until_fresh(system: &PrivateSystem, http: &Client) -> Result<()> {
    let began = Instant::now();
    loop {
        let stats = FloodStats::default();
        hot(system, http, &stats).await?;
        let fresh = stats.fresh.load(Relaxed);
        if fresh == HOT {
            return Ok(());
        }
        ensure!(began.elapsed() < DELIVERED, "only {fresh} of {HOT} known products became fresh hits after the flood");
        sleep(Duration::from_millis(100)).await;
    }
}

/// The greatest values seen while the flood ran.
#[derive(Debug, Default)]
struct Peaks {
    memory: u64,
    delivery: Duration,
}

/// Continues the flood until `last` requests are sent, while existing products are read and another one changes.
/// Returns the time that this took.
async fn flood(
    system: &Arc<PrivateSystem>, http: &Client, stats: &Arc<FloodStats>, peaks: &mut Peaks, options: &Options,
    last: u64,
) -> Result<Duration> {
    let (began, mut clients) = (Instant::now(), JoinSet::new());
    for _ in 0..options.clients {
        clients.spawn(client(Arc::clone(system), http.clone(), Arc::clone(stats), last));
    }
    let tenth = || stats.sent.load(Relaxed).min(last) * 10 / options.requests;
    let mut printed = tenth();
    while !clients.is_empty() {
        hot(system, http, stats).await?;
        peaks.delivery = peaks.delivery.max(change(system, http).await?);
        peaks.memory = peaks.memory.max(info(system, "memory", "used_memory").await?);
        if tenth() > printed {
            printed = tenth();
            println!("{:>9} requests  {}", stats.sent.load(Relaxed).min(last), state(system).await?);
        }
        while let Some(ended) = clients.try_join_next() {
            ended??;
        }
    }
    Ok(began.elapsed())
}

/// Returns the bytes beyond `empty` that Redis uses for each key with a TTL, once the sweep has nothing more to remove.
async fn memory_per_entry(system: &PrivateSystem, http: &Client, empty: u64) -> Result<f64> {
    wait_until_idle(system, http).await?;
    let (began, mut least, mut found) = (Instant::now(), f64::MAX, Instant::now());
    while found.elapsed() < SWEPT_AFTER && began.elapsed() < SWEPT {
        let used: u64 = info(system, "memory", "used_memory").await?;
        let keyspace = system.redis.cli(&["INFO", "keyspace"]).await?;
        let entries = keyspace.split_once("expires=").and_then(|(_, rest)| rest.split(',').next());
        let entries: f64 = entries.context("Redis has no entries after the flood")?.parse()?;
        let each = used.saturating_sub(empty) as f64 / entries.max(1.0);
        if each < least * 0.99 {
            (least, found) = (each, Instant::now());
        }
        sleep(Duration::from_millis(500)).await;
    }
    Ok(least)
}

/// Reads unknown ids, each once, until all clients together have sent `requests`.
async fn client(system: Arc<PrivateSystem>, http: Client, stats: Arc<FloodStats>, requests: u64) -> Result<()> {
    let api = system.url(Service::ProductApi);
    let (search, recommendation) = (system.url(Service::Search), system.url(Service::Recommendation));
    loop {
        let number = stats.sent.fetch_add(1, Relaxed);
        if number >= requests {
            return Ok(());
        }
        let id = UNKNOWN + number;
        let url = match number % 8 {
            0..3 => format!("{api}/products/by-category/{id}"),
            3 => format!("{api}/products/tags/{id}"),
            4 => format!("{api}/products/production/{id}"),
            5 => format!("{api}/products/explicit/{id}"),
            6 => format!("{recommendation}/recommendations/{id}"),
            _ => format!("{search}/search?q=unknown{id}"),
        };
        let answer = http.get(url).send().await.context("a request of the flood failed")?;
        let status = answer.status();
        // The body is read to its end, so that the connection can be reused.
        answer.bytes().await.context("a request of the flood failed")?;
        match status {
            StatusCode::SERVICE_UNAVAILABLE => _ = stats.shed.fetch_add(1, Relaxed),
            status if status.is_server_error() => _ = stats.failed.fetch_add(1, Relaxed),
            _ => {}
        }
    }
}

/// Reads the existing products.
async fn hot(system: &PrivateSystem, http: &Client, stats: &FloodStats) -> Result<()> {
    for id in 1..=HOT {
        let answer = http.get(format!("{}/products/production/{id}", system.url(Service::ProductApi))).send().await?;
        let source = CacheStatus::of(answer.headers()).source();
        stats.hits.fetch_add(u64::from(source.is_cached()), Relaxed);
        stats.fresh.fetch_add(u64::from(source.is_fresh()), Relaxed);
        stats.hot.fetch_add(1, Relaxed);
    }
    Ok(())
}

/// Changes a product that no client reads, and waits until every consumer has applied the change.
async fn change(system: &PrivateSystem, http: &Client) -> Result<Duration> {
    let began = Instant::now();
    system.postgres.sql("shop_db", "UPDATE products SET price_cents = price_cents + 1 WHERE id = 100").await?;
    system.until_applied(http, DELIVERED).await.context("a change was not delivered")?;
    Ok(began.elapsed())
}

/// Returns a number from Redis' INFO.
async fn info(system: &PrivateSystem, section: &str, name: &str) -> Result<u64> {
    let info = system.redis.cli(&["INFO", section]).await?;
    let value = info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    Ok(value.with_context(|| format!("INFO has no {name}"))?.trim().parse()?)
}

async fn state(system: &PrivateSystem) -> Result<String> {
    let (used, evicted) = (info(system, "memory", "used_memory").await?, info(system, "stats", "evicted_keys").await?);
    let keys = system.redis.cli(&["DBSIZE"]).await?;
    Ok(format!("{:>6.1} MB used, {:>7} keys, {evicted:>8} evicted", used as f64 / 1e6, keys.trim()))
}
