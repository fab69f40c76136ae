//! One case alone, in one round.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use futures_util::future::join_all;
use hdrhistogram::Histogram;
use hyper::Method;
use serde_json::Value;
use tokio::time::sleep;

use super::Extent;
use super::cases::{Case, Stand};
use super::figures::{Latency, Sample};
use crate::bench::Wrk;
use crate::cache_status::Source;
use crate::client::Connection;
use crate::traffic::{Order, Place, Plan, Seen, Stream};

/// Requests a second: a small part of what any of the servers can do, so that latency is that of the work and not of a
/// queue.
const HITS: f64 = 1_000.0;
const MISSES: f64 = 300.0;
const WRITES: f64 = 100.0;
/// While nothing is measured.
const WARMING: f64 = 2_000.0;
/// Readers of one missing entry, all at once.
const CROWD: usize = 1_000;
/// Until they have all asked; a fifth of it would do.
const GATHERING: Duration = Duration::from_millis(250);
/// The product whose hits are counted at the peak, and those that readers crowd on.
const PEAK: u64 = 1;
const CROWDED: u64 = 2;

/// Measures one case; its peak as well, if `wrk` is there.
pub(super) async fn measure(stand: &Stand, case: &Case, extent: &Extent, wrk: Option<Wrk>) -> Result<Sample> {
    let mut sample = Sample::default();
    hits(stand, case, extent, &mut sample).await?;
    if let Some(wrk) = wrk {
        let run = wrk.run(&format!("{}{}{PEAK}", case.base, case.path)).await;
        sample.peak = Some(run.with_context(|| case.name.clone())?.rate);
    }
    if case.reads_products {
        misses(stand, case, extent, &mut sample).await?;
        sample.stampede_loads = Some(match case.caches() {
            true => stampede(stand, std::slice::from_ref(case)).await?,
            false => CROWD as f64, // every read is a load
        });
        read_back(case, extent, &mut sample).await?;
        let writes = load(case.warm(), WRITES, 1.0, Order::Zipf(0.0), extent.phase).await?;
        sample.write = Some(Latency::of(&writes.writes));
    }
    Ok(sample)
}

/// Reads what is in the cache. For a case without one, that is simply a read.
async fn hits(stand: &Stand, case: &Case, extent: &Extent, sample: &mut Sample) -> Result<()> {
    let warm = case.warm();
    stand.settle().await?;
    self::warm(&warm).await?;
    let counters = ["total_commands_processed", "total_net_input_bytes", "total_net_output_bytes"];
    // What asking costs is taken off.
    let before = [stand.info("stats", &counters).await?, stand.info("stats", &counters).await?];
    let seen = load(warm, HITS, 0.0, Order::Zipf(0.0), extent.phase).await?;
    let after = stand.info("stats", &counters).await?;
    let spent = |at: usize| (after[at] - before[1][at]).saturating_sub(before[1][at] - before[0][at]) as f64;
    let reads = seen.reads.len() as f64;
    if case.caches() {
        ensure!(seen.hit_ratio() > 0.9, "{}: only {:.0} % are hits", case.name, 100.0 * seen.hit_ratio());
    }
    if case.keys.is_some() || case.name == super::cases::REFERENCE {
        sample.commands_per_hit = Some(spent(0) / reads);
        sample.bytes_per_hit = Some((spent(1) + spent(2)) / reads);
    }
    sample.hit = Some(Latency::of(&seen.reads));
    Ok(())
}

/// Reads everything once, so that it is in the cache.
pub(super) async fn warm(place: &Place) -> Result<()> {
    // Arrivals are random: a little longer than it takes on average.
    let length = Duration::from_secs_f64(1.3 * place.count as f64 / WARMING);
    load(place.clone(), WARMING, 0.0, Order::Each, length).await.map(drop)
}

/// Reads products that are not in the cache, each once.
async fn misses(stand: &Stand, case: &Case, extent: &Extent, sample: &mut Sample) -> Result<()> {
    let cold = case.cold();
    stand.forget(case, &cold).await?;
    let before = stand.info("memory", &["used_memory"]).await?[0];
    let seen = load(cold, MISSES, 0.0, Order::Each, extent.phase).await?;
    let after = stand.info("memory", &["used_memory"]).await?[0];
    let misses = seen.from(Source::Miss);
    if case.caches() {
        ensure!(misses as f64 > 0.9 * seen.reads.len() as f64, "{}: {misses} misses only", case.name);
        sample.entry_bytes = Some(after.saturating_sub(before) as f64 / misses as f64);
    }
    sample.miss = Some(Latency::of(&seen.reads));
    Ok(())
}

/// Loads for 1,000 readers of a missing entry, all at once, spread over `cases`. The database answers nobody until they
/// have all asked; else it would be luck how many come before the first has filled it.
pub(super) async fn stampede(stand: &Stand, cases: &[Case]) -> Result<f64> {
    let mut connections = Vec::with_capacity(CROWD);
    for at in 0..CROWD {
        connections.push((&cases[at % cases.len()], Connection::new(&cases[at % cases.len()].base)?));
    }
    // Opened before it counts.
    for (case, connection) in &mut connections {
        read(connection, case, PEAK).await?;
    }
    stand.forget(&cases[0], &Place { first: CROWDED, count: 1, ..cases[0].warm() }).await?;
    let before = all_loads(stand, cases).await?;
    let held = stand.hold_loads().await?;
    let all = join_all(connections.iter_mut().map(|(case, connection)| read(connection, case, CROWDED)));
    let release = async {
        sleep(GATHERING).await;
        held.release().await
    };
    let (answers, released) = tokio::join!(all, release);
    released?;
    for answer in answers {
        answer?;
    }
    Ok((all_loads(stand, cases).await? - before) as f64)
}

async fn all_loads(stand: &Stand, cases: &[Case]) -> Result<u64> {
    let mut sum = 0;
    for case in cases {
        sum += stand.loads(case).await?.with_context(|| format!("{} counts no loads", case.name))?;
    }
    Ok(sum)
}

/// Writes, and reads at once what was written.
async fn read_back(case: &Case, extent: &Extent, sample: &mut Sample) -> Result<()> {
    let mut connection = Connection::new(&case.base)?;
    let (mut times, mut fresh) = (Histogram::<u64>::new(3)?, 0);
    for number in 0..extent.read_backs {
        let id = 10 + u64::from(number) % 50;
        // So that there is an entry to be stale.
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

async fn read(connection: &mut Connection, case: &Case, id: u64) -> Result<Bytes> {
    let answer = connection.send(Method::GET, &format!("{}{id}", case.path), None).await?;
    ensure!(answer.status.is_success(), "GET {}{id}: {}", case.path, answer.status);
    Ok(answer.body)
}

async fn load(place: Place, rate: f64, writes: f64, order: Order, length: Duration) -> Result<Seen> {
    let stream = Stream::new(&place, Plan { rate, writes, order, length });
    std::rc::Rc::clone(&stream).run().await;
    let seen = stream.take();
    let why = stream.failure().unwrap_or_default();
    ensure!(seen.failed + seen.given_up == 0, "{}: {} requests failed: {why}", place.name, seen.failed + seen.given_up);
    Ok(seen)
}
