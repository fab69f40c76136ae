//! Cold start: Redis loses all data under open-loop load, which is one or two times what the database can carry. The
//! measurement is the time until the hit ratio and the latency are back to their earlier values.
//!
//! The database is behind a proxy with a delay, so that the service's connection pool limits how many loads it can
//! carry, as with a database on another machine. A cache whose readers each load for themselves needs the database most
//! when it is busiest, and may not recover while the load lasts (Bronson et al., "Metastable Failures in Distributed
//! Systems", HotOS 2021).
//!
//! Two defences are compared, each alone and both together: the lease, with which one reader loads a product and the
//! others wait for its value, and the bulkhead, which limits the loads of all products. Naive cache-aside has no lease,
//! and strategy 2 always has one; both invalidate in the same way.

use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use client::traffic::{Order, Plan, ProductRange, Stream, TrafficResults};
use testkit::Proxy;
use tokio::task::LocalSet;
use tokio::time::sleep;

use super::cases::{Case, TestBench};
use super::extent::{Extent, Options, SKEW};
use super::figures::ColdStart;
use super::latency::Latency;
use super::phases;
use crate::wrk::Wrk;

/// The delay that the proxy of the database adds to each reply.
const DELAY: Duration = Duration::from_millis(20);
/// The load, as multiples of what the database can carry.
const LOADS: [f64; 2] = [1.0, 2.0];
/// The bulkhead of the product API (`REDIS__MAX_LOADS`), and a number of loads that no load of this benchmark reaches.
const BULKHEAD: &str = "32";
const NO_BULKHEAD: &str = "10000";
/// The length of one window of the time series.
const WINDOW: Duration = Duration::from_millis(500);
/// How long the load runs before Redis loses all data.
const BEFORE: Duration = Duration::from_secs(2);
/// Condition of recovery: at least this share of the hit ratio from before. [`ideal`] says when that is possible.
const HIT_RATIO: f64 = 0.9;
/// The other condition: a median of at most this multiple of the one from before, plus a millisecond for windows of few
/// requests. Any higher quantile may be that of a load, as long as one read in ten is one.
const P50: f64 = 2.0;
const P50_SLACK_MS: f64 = 1.0;

/// Measures every case at every load, with repetitions.
pub(super) async fn measure(bench: &mut TestBench, extent: &Extent, options: &Options) -> Result<Vec<ColdStart>> {
    if extent.cold_starts == 0 {
        return Ok(Vec::new());
    }
    let before = bench.servers();
    let proxy = Proxy::to(bench.postgres.port()).await?;
    proxy.delay(DELAY);
    let url = bench.postgres.url("shop_db");
    let slow = url.replace(&format!(":{}/", bench.postgres.port()), &format!(":{}/", proxy.port()));
    anyhow::ensure!(slow != url, "the address of the database has its port in it");
    let core = options.server_core;
    let naive = bench.baseline("naive", &["--postgres", &slow], core).await?;
    let naive_bulkhead = bench.baseline("naive", &["--postgres", &slow, "--max-loads", BULKHEAD], core).await?;
    let no_bulkhead = bench.product_api(&slow, core, &[("REDIS__MAX_LOADS", NO_BULKHEAD)]).await?;
    let api = bench.product_api(&slow, core, &[("REDIS__MAX_LOADS", BULKHEAD)]).await?;
    let case = |name: &str, (base, pid): &(String, u32)| -> Result<Case> {
        let case = bench.cases().iter().find(|case| case.name == name).context("the case does not exist")?;
        Ok(Case { base: base.clone(), pid: *pid, ..case.clone() })
    };
    let variants = [
        ("neither", case("naive", &naive)?),
        ("bulkhead", case("naive", &naive_bulkhead)?),
        ("lease", case("explicit", &no_bulkhead)?),
        ("lease and bulkhead", case("explicit", &api)?),
    ];
    let wrk = Wrk { connections: 64, seconds: 2, core: options.load_core };
    let plain = case("no cache", &api)?;
    let capacity = wrk.run(&format!("{}{}1", plain.base, plain.path)).await?.rate;
    let mut all = Vec::new();
    for load in LOADS {
        for (defences, case) in &variants {
            let products = ProductRange { count: case.cold().first + case.cold().count - 1, ..case.warm() };
            let ideal_ms = ideal(load * capacity, products.count).as_secs_f64() * 1e3;
            let name = format!("{}: {defences}", case.name);
            let mut figures = ColdStart { name, load, capacity, ideal_ms, ..ColdStart::default() };
            for _ in 0..extent.cold_starts {
                once(bench, case, &products, load * capacity, extent.recovery, &mut figures).await?;
            }
            all.push(figures);
        }
    }
    bench.keep_servers(before);
    Ok(all)
}

/// Returns when this share of hits is back in a cache that needs one load per product and no time for it. The products
/// that are read least are missing for longest.
fn ideal(rate: f64, products: u64) -> Duration {
    let weights: Vec<f64> = (1..=products).map(|rank| (rank as f64).powf(-SKEW)).collect();
    let all: f64 = weights.iter().sum();
    let missing =
        |reads: f64| weights.iter().map(|weight| weight / all * (1.0 - weight / all).powf(reads)).sum::<f64>();
    let mut after = WINDOW;
    while missing(rate * after.as_secs_f64()) > 1.0 - HIT_RATIO {
        after += WINDOW;
    }
    after
}

/// Runs the load, empties Redis, and returns when hit ratio and latency were back permanently.
async fn once(
    bench: &TestBench, case: &Case, products: &ProductRange, rate: f64, recovery: Duration, figures: &mut ColdStart,
) -> Result<()> {
    phases::warm(products).await?;
    let plan = Plan { rate, writes: 0.0, order: Order::Zipf(SKEW), length: BEFORE + recovery };
    let stream = Stream::new(products, plan);
    stream.open(phases::CONNECTIONS, products.first).await?;
    let loads = bench.loads(case).await?;
    let local = LocalSet::new();
    let running = local.spawn_local(Rc::clone(&stream).run());
    let (usual, windows) = local
        .run_until(async {
            sleep(BEFORE).await;
            let usual = stream.take();
            bench.redis.cli(&["FLUSHALL"]).await?;
            let (began, mut windows) = (Instant::now(), Vec::new());
            while began.elapsed() < recovery {
                sleep(WINDOW).await;
                windows.push((began.elapsed(), stream.take()));
            }
            running.await?;
            anyhow::Ok((usual, windows))
        })
        .await?;
    let mut after = TrafficResults::default();
    windows.iter().for_each(|(_, seen)| after.add(seen));
    after.add(&stream.take());
    figures.recovered_ms.push(recovered(&usual, &windows).map(|after| after.as_secs_f64() * 1e3));
    figures.failed.push(after.failed + after.given_up);
    figures.loads.push(bench.loads(case).await?.zip(loads).map_or(0, |(now, before)| now - before));
    figures.p99_before.push(Latency::of(&usual.reads).p99);
    figures.p99_after.push(Latency::of(&after.reads).p99);
    Ok(())
}

/// Returns the end of the last window that was worse than before, or `None` if that was the last window of all.
fn recovered(usual: &TrafficResults, windows: &[(Duration, TrafficResults)]) -> Option<Duration> {
    let (hit_ratio, p50) = (usual.hit_ratio(), Latency::of(&usual.reads).p50);
    let is_as_before = |seen: &TrafficResults| {
        seen.failed + seen.given_up == 0
            && seen.hit_ratio() >= HIT_RATIO * hit_ratio
            && Latency::of(&seen.reads).p50 <= P50 * p50 + P50_SLACK_MS
    };
    match windows.iter().rposition(|(_, seen)| !is_as_before(seen)) {
        None => Some(Duration::ZERO),
        Some(last) if last + 1 == windows.len() => None,
        Some(last) => Some(windows[last].0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use client::Source;
    use client::traffic::SOURCES;

    fn seen(hits: u64, misses: u64, ms: u64) -> TrafficResults {
        let mut seen = TrafficResults::default();
        for (source, count) in [(Source::Hit, hits), (Source::Miss, misses)] {
            let at = SOURCES.iter().position(|it| *it == source).unwrap();
            seen.sources[at].record_n(1_000 * ms, count).unwrap();
            seen.reads.record_n(1_000 * ms, count).unwrap();
        }
        seen
    }

    #[test]
    fn twice_the_reads_fill_the_cache_in_half_the_time() {
        assert_eq!(ideal(500.0, 1_000), ideal(1_000.0, 1_000) * 2);
        assert!(ideal(500.0, 2_000) > ideal(500.0, 1_000));
    }

    #[test]
    fn recovery_ends_with_the_last_worse_window() {
        let usual = seen(100, 0, 1);
        let at = |tenths: u64| Duration::from_millis(100 * tenths);
        let good = || seen(100, 0, 1);
        assert_eq!(recovered(&usual, &[(at(1), good()), (at(2), good())]), Some(Duration::ZERO));
        let few_hits = [(at(1), seen(10, 90, 1)), (at(2), good()), (at(3), seen(89, 11, 1)), (at(4), seen(90, 10, 1))];
        assert_eq!(recovered(&usual, &few_hits), Some(at(3)));
        assert_eq!(recovered(&usual, &[(at(1), seen(100, 0, 100)), (at(2), good())]), Some(at(1)), "slow is worse");
        assert_eq!(recovered(&usual, &[(at(1), good()), (at(2), seen(10, 90, 1))]), None);
        let failing = TrafficResults { failed: 1, ..good() };
        assert_eq!(recovered(&usual, &[(at(1), failing), (at(2), good())]), Some(at(1)));
    }
}
