//! Repeats the stale-fill race with 16 readers and 10 writes. Counts the entries that are still stale when all traffic
//! has ended, and measures how long they stay stale.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use client::Connection;
use client::race::{self, Stale};
use client::traffic::ProductRange;
use futures_util::future::try_join_all;
use hyper::Method;
use serde_json::Value;
use tokio::sync::Mutex;
use tokio::time::sleep;

use super::case_figures::Race;
use super::cases::{Case, TestBench};
use super::extent::Extent;
use super::phases::read;

/// How many times as often the race of naive cache-aside is repeated, until it leaves a stale entry: on a machine with idle
/// cores, it does so only about once in 200 trials.
const REPEATS: u32 = 20;
const READERS: usize = 16;
const WRITES: u32 = 10;
/// The interval between reads of a stale entry until it shows the last write.
const EVERY: Duration = Duration::from_millis(50);
/// The shorter interval of the first of these reads, because an event takes milliseconds.
const CLOSELY: Duration = Duration::from_millis(1);
const AT_FIRST: u32 = 40;

/// Runs the trials of one case in one round, one after the other, and measures how long stale entries remained.
pub(super) async fn measure(bench: &TestBench, case: &Case, extent: &Extent, round: u32) -> Result<Race> {
    let connection = || anyhow::Ok(Mutex::new(Connection::new(&case.base)?));
    let readers = (0..READERS).map(|_| connection()).collect::<Result<Vec<_>>>()?;
    let writer = connection()?;
    let (mut race, mut left) = (Race::default(), Vec::new());
    let products = case.own();
    // A quick look, of one round, proves nothing.
    let most = if case.name == "naive" && extent.rounds > 1 { REPEATS * extent.races } else { extent.races };
    while race.trials < extent.races || (race.stale == 0 && race.trials < most) {
        let id = products.first + u64::from((round - 1) * extent.races + race.trials) % products.count;
        race.trials += 1;
        bench.forget(case, &ProductRange { first: id, count: 1, ..case.own() }).await?;
        let read = |reader: usize| read_version(&readers[reader], case, id);
        let Some(stale) = race::trial(READERS, read, WRITES, || write(&writer, case, id)).await? else { continue };
        race.stale += 1;
        match watch(&writer, case, id, stale, CLOSELY, CLOSELY * AT_FIRST).await? {
            Some(ms) => race.stale_ms.push(ms),
            None => left.push((connection()?, id, stale)),
        }
    }
    let watched =
        left.iter().map(|(connection, id, stale)| watch(connection, case, *id, *stale, EVERY, extent.watched));
    for ms in try_join_all(watched).await? {
        match ms {
            Some(ms) => race.stale_ms.push(ms),
            None => race.never_ended += 1,
        }
    }
    race.watched_ms = extent.watched.as_secs_f64() * 1e3;
    Ok(race)
}

/// Returns the version that a reader gets.
async fn read_version(connection: &Mutex<Connection>, case: &Case, id: u64) -> Result<u64> {
    version(&read(&mut *connection.lock().await, case, id).await?)
}

/// Sets a random stock, which is almost certainly a new one, and returns the new version.
async fn write(connection: &Mutex<Connection>, case: &Case, id: u64) -> Result<u64> {
    let body = Bytes::from(format!("{{\"stock\":{}}}", rand::random_range(1..1_000_000_000)));
    let path = format!("{}{id}", case.path);
    let answer = connection.lock().await.send(Method::PUT, &path, Some(body)).await?;
    ensure!(answer.status.is_success(), "PUT {path}: {}", answer.status);
    version(&answer.body)
}

/// Returns the milliseconds from the acknowledgement of the last write until a read shows it, or `None` if no read
/// shows it in the time `within`.
async fn watch(
    connection: &Mutex<Connection>, case: &Case, id: u64, stale: Stale, every: Duration, within: Duration,
) -> Result<Option<f64>> {
    let began = Instant::now();
    while began.elapsed() < within {
        sleep(every).await;
        if read_version(connection, case, id).await? >= stale.version {
            return Ok(Some(stale.since.elapsed().as_secs_f64() * 1e3));
        }
    }
    Ok(None)
}

fn version(body: &[u8]) -> Result<u64> {
    serde_json::from_slice::<Value>(body)?["version"].as_u64().context("the product has no version")
}
