//! The stale-fill race: a missing entry, 16 readers and 10 writes without pauses, then no traffic. It counts the
//! entries that are still stale when all traffic has ended, and measures for how long.
//!
//! ```text
//! reader   GET: nothing ─ SELECT: version 1 ──────────────────────── SET version 1, until its TTL
//! writer                                     UPDATE: version 2 ─ DEL
//! ```
//!
//! Under an ordinary load the race is rare and its effect is short: another write soon removes the entry. The trial
//! makes the race likely, and the time without traffic shows what it leaves behind.

use std::cell::Cell;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use client::Connection;
use futures_util::future::try_join_all;
use hyper::Method;
use serde_json::Value;
use tokio::time::sleep;

use super::case_figures::Race;
use super::cases::{Case, TestBench};
use super::extent::Extent;
use super::phases::read;

const READERS: usize = 16;
const WRITES: u32 = 10;
/// The interval between reads of a stale entry until it shows the last write.
const EVERY: Duration = Duration::from_millis(50);
/// The first of these reads have a shorter interval, because an event takes milliseconds.
const CLOSELY: Duration = Duration::from_millis(1);
const AT_FIRST: u32 = 40;

/// An entry that showed an old value when all traffic had ended.
struct Stale {
    id: u64,
    stock: Value,
    since: Instant,
}

/// Runs the trials of one case in one round, one after the other, and measures how long stale entries remained.
pub(super) async fn measure(bench: &TestBench, case: &Case, extent: &Extent, round: u32) -> Result<Race> {
    let mut readers = (0..READERS).map(|_| Connection::new(&case.base)).collect::<Result<Vec<_>>>()?;
    let mut writer = Connection::new(&case.base)?;
    let (mut race, mut left) = (Race { trials: extent.races, ..Race::default() }, Vec::new());
    let products = case.own();
    for trial in 0..extent.races {
        let id = products.first + u64::from((round - 1) * extent.races + trial) % products.count;
        let Some(stale) = run(bench, case, id, &mut readers, &mut writer).await? else { continue };
        race.stale += 1;
        match watch(case, &mut writer, &stale, CLOSELY, CLOSELY * AT_FIRST).await? {
            Some(ms) => race.stale_ms.push(ms),
            None => left.push(stale),
        }
    }
    let mut watchers = left.iter().map(|_| Connection::new(&case.base)).collect::<Result<Vec<_>>>()?;
    let watched = watchers.iter_mut().zip(&left);
    let watched = watched.map(|(connection, stale)| watch(case, connection, stale, EVERY, extent.watched));
    for ms in try_join_all(watched).await? {
        match ms {
            Some(ms) => race.stale_ms.push(ms),
            None => race.never_ended += 1,
        }
    }
    race.watched_ms = extent.watched.as_secs_f64() * 1e3;
    Ok(race)
}

/// Runs one trial. Returns the entry if it is stale after the last response to any reader or writer.
async fn run(
    bench: &TestBench, case: &Case, id: u64, readers: &mut [Connection], writer: &mut Connection,
) -> Result<Option<Stale>> {
    bench.forget(case, &client::traffic::ProductRange { first: id, count: 1, ..case.own() }).await?;
    let writing = Cell::new(true);
    let reads = readers.iter_mut().map(async |connection| {
        while writing.get() {
            read(connection, case, id).await?;
        }
        anyhow::Ok(())
    });
    let writes = async {
        let mut last = None;
        for _ in 0..WRITES {
            last = Some(write(writer, case, id).await?);
        }
        writing.set(false);
        last.context("a trial has writes")
    };
    let (_, (stock, since)) = tokio::try_join!(try_join_all(reads), writes)?;
    let shown = stock_of(&read(writer, case, id).await?)?;
    Ok((shown != stock).then_some(Stale { id, stock, since }))
}

/// Sets a stock that the product has not had. Returns the stock and the time of the acknowledgement.
async fn write(connection: &mut Connection, case: &Case, id: u64) -> Result<(Value, Instant)> {
    let body = Bytes::from(format!("{{\"stock\":{}}}", rand::random_range(1..1_000_000_000)));
    let answer = connection.send(Method::PUT, &format!("{}{id}", case.path), Some(body)).await?;
    ensure!(answer.status.is_success(), "PUT {}{id}: {}", case.path, answer.status);
    Ok((stock_of(&answer.body)?, Instant::now()))
}

/// Returns the milliseconds from the acknowledgement of the last write until a read shows it, or `None` if no read does
/// `within` that time.
async fn watch(
    case: &Case, connection: &mut Connection, stale: &Stale, every: Duration, within: Duration,
) -> Result<Option<f64>> {
    let began = Instant::now();
    while began.elapsed() < within {
        sleep(every).await;
        if stock_of(&read(connection, case, stale.id).await?)? == stale.stock {
            return Ok(Some(stale.since.elapsed().as_secs_f64() * 1e3));
        }
    }
    Ok(None)
}

fn stock_of(body: &[u8]) -> Result<Value> {
    Ok(serde_json::from_slice::<Value>(body)?["stock"].clone())
}
