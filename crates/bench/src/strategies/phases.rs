//! The phases of one case alone, in one round.

use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use client::cpu::cpu_time;
use client::traffic::{Order, Plan, ProductRange, Stream, TrafficResults};
use client::{Connection, Source};
use futures_util::future::join_all;
use hdrhistogram::Histogram;
use hyper::Method;
use serde_json::Value;
use tokio::time::sleep;

use super::case_figures::Sample;
use super::cases::{Case, REFERENCE, TestBench};
use super::cost::{CpuWatch, RedisUsage};
use super::extent::{Extent, SKEW, WRITE_SHARE};
use super::latency::Latency;
use crate::wrk::Wrk;

/// Requests per second: a small part of what any of the servers can do, so that the latency is that of the work and not
/// of a queue.
const HITS: f64 = 1_000.0;
const MISSES: f64 = 300.0;
const WRITES: f64 = 150.0;
/// Requests per second while nothing is measured.
const WARMING: f64 = 2_000.0;
/// Connections opened before the measurement. Opening further ones, if they are needed, is part of the latency.
pub(super) const CONNECTIONS: usize = 32;
/// Concurrent readers of one missing entry.
const CROWD: usize = 1_000;
/// The time until all of them have sent their request; a fifth of it would do.
const GATHERING: Duration = Duration::from_millis(250);
/// The product whose hits are counted at the peak, and the first of those that the crowd reads.
const PEAK: u64 = 1;
const CROWDED: u64 = 2;

pub(super) async fn measure(bench: &TestBench, case: &Case, extent: &Extent, round: u32, wrk: Wrk) -> Result<Sample> {
    let mut sample = Sample::default();
    hits(bench, case, extent.hits, &mut sample).await?;
    if extent.beside {
        // The two peaks are measured within two seconds of each other, so that a disturbance affects both.
        let (rate, cpu) = peak(wrk, bench.reference()).await?;
        (sample.peak_of_reference, sample.cpu_of_reference) = (Some(rate), Some(cpu));
    }
    let (rate, cpu) = peak(wrk, case).await?;
    (sample.peak, sample.cpu) = (Some(rate), Some(cpu));
    if case.caches() {
        misses(bench, case, extent.misses, &mut sample).await?;
        sample.entry_bytes = Some(bench.entry_bytes(case, &case.cold()).await?);
        sample.stampede_loads = Some(stampede(bench, std::slice::from_ref(case)).await?);
        reads_and_writes(bench, case, extent, &mut sample).await?;
    } else if case.reads_products && round == 1 && extent.counts_loads {
        count_plain_loads(bench, case, extent, &mut sample).await?;
    }
    if case.reads_products {
        read_back(case, extent, &mut sample).await?;
        writes(case, extent.writes, &mut sample).await?;
    }
    Ok(sample)
}

/// Returns the reads per second in a closed loop, and the microseconds of the server's CPU time per read.
pub(super) async fn peak(wrk: Wrk, case: &Case) -> Result<(f64, f64)> {
    let before = cpu_time(case.pid)?;
    let run = wrk.run(&format!("{}{}{PEAK}", case.base, case.path)).await.with_context(|| case.name.clone())?;
    let cpu = cpu_time(case.pid)?.saturating_sub(before);
    Ok((run.rate, cpu.as_secs_f64() * 1e6 / run.requests.max(1) as f64))
}

/// Reads entries that are cached. For a case without a cache, the reads from the database count as misses.
pub(super) async fn hits(bench: &TestBench, case: &Case, length: Duration, sample: &mut Sample) -> Result<()> {
    bench.settle().await?;
    warm(&case.warm()).await?;
    let ready = Ready::new(&case.warm(), Plan { rate: HITS, writes: 0.0, order: Order::Zipf(0.0), length }).await?;
    let (bill, watch) = (RedisUsage::open(bench).await?, CpuWatch::begin(bench, case)?);
    let seen = ready.run().await?;
    sample.shares = Some(watch.end()?);
    let hits = &if case.caches() { seen.fresh() } else { seen.from(Source::Uncached).clone() };
    let share = hits.len() as f64 / seen.reads.len() as f64;
    ensure!(share > 0.9 || case.name == "swr", "{}: only {:.0} % are hits", case.name, 100.0 * share);
    if case.caches() || case.name == REFERENCE {
        sample.per_hit = Some(bill.per(bench, seen.reads.len()).await?);
    }
    sample.late = Some(Latency::of(&seen.late));
    let latency = Some(Latency::of(hits));
    if case.reads_products && !case.caches() {
        sample.miss = latency
    } else {
        sample.hit = latency
    }
    Ok(())
}

/// Reads everything once, so that it is in the cache.
pub(super) async fn warm(products: &ProductRange) -> Result<()> {
    // Arrivals are random, so this lasts a little longer than the average time.
    let length = Duration::from_secs_f64(1.3 * products.count as f64 / WARMING);
    load(products, Plan { rate: WARMING, writes: 0.0, order: Order::Each, length }).await.map(drop)
}

/// Reads products that are not in the cache, each once.
pub(super) async fn misses(bench: &TestBench, case: &Case, length: Duration, sample: &mut Sample) -> Result<()> {
    bench.forget(case, &case.cold()).await?;
    let ready = Ready::new(&case.cold(), Plan { rate: MISSES, writes: 0.0, order: Order::Each, length }).await?;
    let bill = RedisUsage::open(bench).await?;
    let seen = ready.run().await?;
    let misses = seen.from(case.worst());
    ensure!(misses.len() as f64 > 0.9 * seen.reads.len() as f64, "{}: {} misses only", case.name, misses.len());
    sample.per_miss = Some(bill.per(bench, seen.reads.len()).await?);
    sample.miss = Some(Latency::of(misses));
    Ok(())
}

pub(super) async fn writes(case: &Case, length: Duration, sample: &mut Sample) -> Result<()> {
    let seen = load(&case.warm(), Plan { rate: WRITES, writes: 1.0, order: Order::Zipf(0.0), length }).await?;
    sample.write = Some(Latency::of(&seen.writes));
    Ok(())
}

/// Runs the mixed load of one case alone, and counts the work of Redis per read, including the work that writes cause.
async fn reads_and_writes(bench: &TestBench, case: &Case, extent: &Extent, sample: &mut Sample) -> Result<()> {
    warm(&case.own()).await?;
    bench.settle().await?;
    let order = Order::Zipf(SKEW);
    let plan = Plan { rate: HITS, writes: WRITE_SHARE, order, length: extent.counted };
    let ready = Ready::new(&case.own(), plan).await?;
    let bill = RedisUsage::open(bench).await?;
    let seen = ready.run().await?;
    bench.settle().await?;
    sample.per_mixed = Some(bill.per(bench, seen.reads.len()).await?);
    Ok(())
}

/// Counts the loads of a case without a cache, which only Postgres counts. Postgres publishes them late, so this is
/// done only once.
async fn count_plain_loads(bench: &TestBench, case: &Case, extent: &Extent, sample: &mut Sample) -> Result<()> {
    let before = bench.products_looked_up().await?;
    let plan = Plan { rate: HITS, writes: 0.0, order: Order::Zipf(0.0), length: extent.hits };
    let reads = load(&case.warm(), plan).await?.reads.len() + CONNECTIONS as u64;
    let mut crowd = Crowd::gather(std::slice::from_ref(case)).await?;
    let between = bench.products_looked_up().await?;
    sample.plain_loads = Some(1_000.0 * (between - before) as f64 / (reads + CROWD as u64) as f64);
    crowd.read_all_at_once(bench).await?;
    sample.stampede_loads = Some((bench.products_looked_up().await? - between) as f64);
    Ok(())
}

/// Returns the loads per 1,000 concurrent readers of a missing entry, spread over `cases`.
pub(super) async fn stampede(bench: &TestBench, cases: &[Case]) -> Result<f64> {
    let mut crowd = Crowd::gather(cases).await?;
    let before = all_loads(bench, cases).await?;
    crowd.read_all_at_once(bench).await?;
    Ok((all_loads(bench, cases).await? - before) as f64)
}

struct Crowd<'a>(Vec<(&'a Case, Connection)>);

impl<'a> Crowd<'a> {
    /// Opens the connections.
    async fn gather(cases: &'a [Case]) -> Result<Self> {
        let mut all = Vec::with_capacity(CROWD);
        for case in cases.iter().cycle().take(CROWD) {
            let mut connection = Connection::new(&case.base)?;
            read(&mut connection, case, PEAK).await?;
            all.push((case, connection));
        }
        Ok(Self(all))
    }

    /// All readers request the same missing entry. The database does not reply until all have sent their request;
    /// otherwise the number of readers that come before the first fill would be random.
    async fn read_all_at_once(&mut self, bench: &TestBench) -> Result<()> {
        let (case, _) = self.0.first().context("there is no case")?;
        bench.forget(case, &ProductRange { first: CROWDED, count: 1, ..case.warm() }).await?;
        let held = bench.hold_loads().await?;
        let all = join_all(self.0.iter_mut().map(|(case, connection)| read(connection, case, CROWDED)));
        let release = async {
            sleep(GATHERING).await;
            held.release().await
        };
        let (answers, released) = tokio::join!(all, release);
        released?;
        answers.into_iter().try_for_each(|answer| answer.map(drop))
    }
}

async fn all_loads(bench: &TestBench, cases: &[Case]) -> Result<u64> {
    let mut sum = 0;
    for case in cases {
        sum += bench.loads(case).await?.with_context(|| format!("{} counts no loads", case.name))?;
    }
    Ok(sum)
}

/// Writes, and reads the product immediately afterwards.
async fn read_back(case: &Case, extent: &Extent, sample: &mut Sample) -> Result<()> {
    let mut connection = Connection::new(&case.base)?;
    let (mut times, mut fresh) = (Histogram::<u64>::new(3)?, 0);
    for number in 0..extent.read_backs {
        let id = 10 + u64::from(number) % 50;
        // This read creates the entry that could become stale.
        read(&mut connection, case, id).await?;
        let body = Bytes::from(format!("{{\"stock\":{}}}", rand::random_range(1..1_000_000)));
        let written = connection.send(Method::PUT, &format!("{}{id}", case.path), Some(body)).await?;
        ensure!(written.status.is_success(), "PUT {}{id}: {}", case.path, written.status);
        let began = Instant::now();
        let shown = read(&mut connection, case, id).await?;
        times.record(u64::try_from(began.elapsed().as_micros())?)?;
        let stock = |body: &[u8]| anyhow::Ok(serde_json::from_slice::<Value>(body)?["stock"].clone());
        fresh += u32::from(stock(&shown)? == stock(&written.body)?);
    }
    sample.read_back = Some(Latency::of(&times));
    sample.read_back_fresh = Some(f64::from(fresh) / f64::from(extent.read_backs));
    Ok(())
}

pub(super) async fn read(connection: &mut Connection, case: &Case, id: u64) -> Result<Bytes> {
    let answer = connection.send(Method::GET, &format!("{}{id}", case.path), None).await?;
    ensure!(answer.status.is_success(), "GET {}{id}: {}", case.path, answer.status);
    Ok(answer.body)
}

async fn load(products: &ProductRange, plan: Plan) -> Result<TrafficResults> {
    load_from(products, PEAK, plan).await
}

/// Runs a load over connections that were opened by reading product `id`.
pub(super) async fn load_from(products: &ProductRange, id: u64, plan: Plan) -> Result<TrafficResults> {
    Ready::opened(products, id, plan).await?.run().await
}

/// A load with open connections, so that opening them is not measured.
struct Ready {
    name: String,
    stream: Rc<Stream>,
}

impl Ready {
    /// Opens the connections by reading a product that is cached, or that is not measured.
    async fn new(products: &ProductRange, plan: Plan) -> Result<Self> {
        Self::opened(products, PEAK, plan).await
    }

    async fn opened(products: &ProductRange, id: u64, plan: Plan) -> Result<Self> {
        let stream = Stream::new(products, plan);
        stream.open(CONNECTIONS, id).await?;
        Ok(Self { name: products.name.clone(), stream })
    }

    async fn run(self) -> Result<TrafficResults> {
        Rc::clone(&self.stream).run().await;
        let seen = self.stream.take();
        let (failed, why) = (seen.failed + seen.given_up, self.stream.failure().unwrap_or_default());
        ensure!(failed == 0, "{}: {failed} requests failed: {why}", self.name);
        Ok(seen)
    }
}
