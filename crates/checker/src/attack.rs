//! A flood of reads of unknown ids, at full speed, while Redis has little memory.
//!
//! The four services run with private stores. Clients read unknown products, lists, recommendations and search words,
//! each id once. At the same time another client reads ten products that exist, and a writer changes products in SQL.
//! The run fails unless
//!
//! * no request of the flood gets a 5xx other than 503,
//! * Redis uses no more than its `maxmemory` (and a margin for its clients),
//! * every consumer applies every change within 30 s,
//! * reads of the existing products are hits after the flood, and mostly hits during it.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clap::Args;
use client::cache_status;
use reqwest::{Client, StatusCode};
use testkit::private_system::{PrivateSystem, Service};
use tokio::task::JoinSet;

use crate::system::wait_until_idle;

/// Ids from here on do not exist.
const UNKNOWN: u64 = 1_000_000_000;
/// Maximum time until every consumer has applied a change, on a machine that is busy with the flood.
const DELIVERED: Duration = Duration::from_secs(30);
/// The memory that Redis may use beyond `maxmemory`: it evicts before it runs a command, not after it.
const MARGIN: u64 = 1 << 20;
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
    hits: AtomicU64,
}

/// Runs the flood and prints its results.
///
/// # Errors
/// Returns an error if a promise is broken, or if the services do not start.
pub async fn run(options: &Options) -> Result<()> {
    let settings = [("LOG__FILTER", "warn"), ("REDIS__COMMAND_TIMEOUT", "500ms")];
    let system = Arc::new(PrivateSystem::start(130, &settings).await?);
    let http = Client::builder().no_proxy().timeout(Duration::from_secs(60)).build()?;
    system.redis.cli(&["CONFIG", "SET", "maxmemory", &options.memory]).await?;
    let limit: u64 = info(&system, "memory", "maxmemory").await?;
    wait_until_idle(&*system, &http).await?;
    println!("before the flood   {}", state(&system).await?);

    let (stats, began) = (Arc::new(FloodStats::default()), Instant::now());
    let mut flood = JoinSet::new();
    for _ in 0..options.clients {
        flood.spawn(client(Arc::clone(&system), http.clone(), Arc::clone(&stats), options.requests));
    }
    let (mut most, mut slowest, mut tenths) = (0, Duration::ZERO, 0);
    while !flood.is_empty() {
        hot(&system, &http, &stats).await?;
        let took = change(&system, &http).await?;
        slowest = slowest.max(took);
        most = most.max(info(&system, "memory", "used_memory").await?);
        let sent = stats.sent.load(Relaxed).min(options.requests);
        if sent * 10 / options.requests > tenths {
            tenths = sent * 10 / options.requests;
            println!("{sent:>9} requests  {}", state(&system).await?);
        }
        while let Some(ended) = flood.try_join_next() {
            ended??;
        }
    }
    let seconds = began.elapsed().as_secs_f64();
    wait_until_idle(&*system, &http).await?;
    println!("after the flood    {}", state(&system).await?);
    println!(
        "{} requests in {seconds:.0} s ({:.0} a second), {} shed with 503, {} failed; at most {most} of {limit} bytes used; \
         the slowest change took {:.1} s; {} of {} reads of known products were hits",
        options.requests,
        options.requests as f64 / seconds,
        stats.shed.load(Relaxed),
        stats.failed.load(Relaxed),
        slowest.as_secs_f64(),
        stats.hits.load(Relaxed),
        stats.hot.load(Relaxed),
    );
    ensure!(stats.failed.load(Relaxed) == 0, "requests of the flood failed with a 5xx other than 503");
    ensure!(most <= limit + MARGIN, "Redis used {most} bytes, and may use {limit}");
    let share = stats.hits.load(Relaxed) as f64 / stats.hot.load(Relaxed).max(1) as f64;
    ensure!(share >= HITS, "only {:.0} % of the reads of known products were hits during the flood", share * 100.0);
    let after = FloodStats::default();
    hot(&system, &http, &FloodStats::default()).await?;
    hot(&system, &http, &after).await?;
    ensure!(after.hits.load(Relaxed) == HOT, "known products are not hits after the flood");
    Ok(())
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
        let status = cache_status(answer.headers());
        stats.hits.fetch_add(u64::from(status.contains("; hit")), Relaxed);
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
