//! All cases at once, each on products of its own: reads and some writes, by which hit ratios, loads and staleness are
//! counted. It lasts longer than a TTL.

use std::rc::Rc;

use anyhow::{Result, ensure};
use futures_util::future::join_all;

use super::Extent;
use super::cases::{Case, Stand};
use super::figures::{Latency, Mixed};
use super::phases;
use crate::traffic::{Order, Plan, Stream};

/// Requests a second, of each case.
const RATE: f64 = 120.0;
/// The share of them that are writes.
const WRITES: f64 = 0.05;
/// About what web caches see (Breslau et al., INFOCOM 1999).
const SKEW: f64 = 0.9;

pub(super) async fn measure(stand: &Stand, extent: &Extent) -> Result<Vec<(String, Mixed)>> {
    let plan = Plan { rate: RATE, writes: WRITES, order: Order::Zipf(SKEW), length: extent.mixed };
    let cases: Vec<&Case> = stand.cases().iter().filter(|case| case.reads_products).collect();
    let mut before = Vec::new();
    for case in &cases {
        phases::warm(&case.own()).await?;
        before.push(stand.loads(case).await?);
    }
    let streams: Vec<_> = cases.iter().map(|case| Stream::new(&case.own(), plan)).collect();
    join_all(streams.iter().map(|stream| Rc::clone(stream).run())).await;
    let mut samples = Vec::new();
    for ((case, stream), before) in cases.iter().zip(streams).zip(before) {
        let seen = stream.take();
        let why = stream.failure().unwrap_or_default();
        ensure!(seen.failed + seen.given_up == 0, "{}: requests failed: {why}", case.name);
        let reads = seen.reads.len();
        let loads = match (before, stand.loads(case).await?) {
            (Some(before), Some(after)) => after - before,
            _ => reads,
        };
        let mixed = Mixed {
            reads,
            hit_ratio: seen.hit_ratio(),
            loads_per_1000: 1_000.0 * loads as f64 / reads as f64,
            stale_share: seen.stale as f64 / reads as f64,
            staleness: Latency::of(&seen.staleness),
        };
        samples.push((case.name.clone(), mixed));
    }
    Ok(samples)
}
